"""A bundle: what it holds, that it predicts the same again, and that it notices when it could not."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import peft
import pytest
import torch

from molre.adapters import AdapterConfig, attach
from molre.backbones import BACKBONES, SliceInput, build, register, spec_named
from molre.bundle import load_bundle, save_bundle
from molre.calibration import Calibration, Curve
from molre.classifier import Classifier
from molre.errors import BundleError, ConfigError
from molre.findings import KEYS
from molre.volume import Grid

GRID = Grid(name="small", shape=(3, 32, 32), spacing_mm=(40.0, 7.0, 7.0))
KINDS = ("none", "lora", "mlp", "molre", "full")
SETTINGS = {"hidden": 48, "layers": 2, "heads": 3, "mlp": 96, "readout": "patches"}


@pytest.fixture(autouse=True)
def backbone_name():
    spec = replace(
        spec_named("dinov3-tiny"),
        name="dinov3-bundled",
        width=48,
        input=SliceInput(image_px=32, patch_px=16),
        parameters=75_312,
        packaged=None,
        settings=SETTINGS,
    )
    register(spec)
    yield spec.name
    del BACKBONES[spec.name]


@pytest.fixture(autouse=True)
def one_thread():
    """Networks of this size lose more to handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(kind="molre", site="feature", weights=None, seed=0, gate="auto", **classifier):
    adapted = attach(
        Classifier(build("dinov3-bundled", weights=weights, seed=seed), **classifier),
        AdapterConfig(kind=kind, site=site, gate=gate, rank=2, over_budget=True),
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in adapted.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return adapted


def volumes():
    hu = np.random.default_rng(0).integers(-1024, 300, (2, *GRID.shape), dtype=np.int16)
    hu[1, 0] = -1024
    return hu


def probabilities(adapted, hu):
    with torch.inference_mode():
        return Calibration().probabilities(adapted.model.eval()(torch.from_numpy(hu)).numpy())


@pytest.mark.parametrize("site", ["feature", "last_block"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_bundle_predicts_what_was_saved_to_the_bit(kind, site, tmp_path):
    adapted, hu = trained(kind, site), volumes()
    save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})
    bundle = load_bundle(tmp_path / "bundle")
    assert np.array_equal(bundle.predict(hu), probabilities(adapted, hu))
    assert np.array_equal(bundle.predict(torch.from_numpy(hu)), bundle.predict(hu))
    assert bundle.predict(hu).dtype == np.float32
    assert bundle.grid == GRID
    assert bundle.adapted.config == adapted.config
    assert not any(parameter.requires_grad for parameter in bundle.adapted.model.parameters())


@pytest.mark.parametrize("gate", ["volume", "token"])
def test_a_loaded_bundle_gates_at_the_level_it_was_trained_with(gate, tmp_path):
    adapted, hu = trained(gate=gate), volumes()
    save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.adapted.classifier.routes_volumes is (gate == "volume")
    assert np.array_equal(bundle.predict(hu), probabilities(adapted, hu))


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_those_of_the_kind_and_named_with_their_hash(kind, tmp_path):
    save_bundle(tmp_path / "bundle", trained(kind), grid=GRID, provenance={})
    files = {file.name for file in (tmp_path / "bundle").iterdir()}
    wanted = {"bundle.json", "head.safetensors", "MODEL_CARD.md"}
    wanted |= {"adapter_model.safetensors", "adapter_config.json"} if kind in ("lora", "mlp", "molre") else set()
    wanted |= {"backbone.safetensors"} if kind == "full" else set()
    assert files == wanted
    manifest = json.loads((tmp_path / "bundle/bundle.json").read_text())
    assert set(manifest["files"]) == files - {"bundle.json"}
    assert manifest["adapter"]["files"] == sorted(name for name in files if name.startswith("adapter"))[::-1]
    head = (tmp_path / "bundle/head.safetensors").read_bytes()
    assert manifest["files"]["head.safetensors"] == hashlib.sha256(head).hexdigest()


def test_peft_itself_loads_the_adapter_from_a_bundle(tmp_path):
    adapted, hu = trained(), volumes()
    save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})
    fresh = Classifier(build("dinov3-bundled"))
    fresh.pooling.load_state_dict(adapted.classifier.pooling.state_dict())
    fresh.head.load_state_dict(adapted.classifier.head.state_dict())
    model = peft.PeftModel.from_pretrained(fresh, tmp_path / "bundle").eval()
    assert torch.equal(model(torch.from_numpy(hu)), adapted.model.eval()(torch.from_numpy(hu)))


def test_queries_per_finding_survive(tmp_path):
    adapted, hu = trained(query_per_finding=True), volumes()
    save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})
    assert np.array_equal(load_bundle(tmp_path / "bundle").predict(hu), probabilities(adapted, hu))


def test_the_manifest_says_what_it_is_made_of(tmp_path):
    save_bundle(
        tmp_path / "bundle",
        trained(seed=4),
        grid=GRID,
        provenance={"store": {"source": "phantom"}, "score": float("nan"), "shape": (1, 2)},
        thresholds={"calvarial_fracture": 0.25},
        metrics={"mean_auc": np.float32(0.5)},
    )
    bundle = load_bundle(tmp_path / "bundle")
    manifest = bundle.manifest
    assert manifest["backbone"]["name"] == "dinov3-bundled"
    assert manifest["backbone"]["weights"]["description"] == "random, seed 4"
    assert manifest["findings"] == list(KEYS)
    assert manifest["windows"]["centre_width"][0] == [40.0, 80.0]
    assert manifest["adapter"]["added_parameters"] == bundle.adapted.added_parameters > 0
    assert manifest["provenance"] == {"store": {"source": "phantom"}, "score": None, "shape": [1, 2]}
    assert manifest["metrics"] == {"mean_auc": 0.5}
    assert bundle.thresholds == {"calvarial_fracture": 0.25}


def test_calibration_and_operating_points_come_back_and_are_applied(tmp_path):
    adapted, hu = trained(), volumes()
    calibration = Calibration(curves={KEYS[1]: Curve(scale=0.5, shift=-1.0, fit="own")})
    points = {"sensitivity_0.95": {KEYS[1]: 0.125}}
    save_bundle(
        tmp_path / "bundle", adapted, grid=GRID, provenance={}, calibration=calibration, operating_points=points
    )
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.calibration, bundle.operating_points) == (calibration, points)
    plain, found = probabilities(adapted, hu), bundle.predict(hu)
    logit = np.log(plain[:, 1] / (1 - plain[:, 1]))
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(1 - logit / 2)), rtol=1e-4)
    np.testing.assert_allclose(found[:, 2:], plain[:, 2:], rtol=1e-6)
    assert "1 findings have their own, 0 share one" in (tmp_path / "bundle/MODEL_CARD.md").read_text()


def test_the_card_is_plain_about_use_data_and_licence(tmp_path):
    store = {"source": "dicom", "counts": {"patients": 4711}}
    save_bundle(tmp_path / "bundle", trained(), grid=GRID, provenance={"store": store})
    card = (tmp_path / "bundle/MODEL_CARD.md").read_text()
    for words in ("not a medical device", "Intended use", "4711", "Licence", "6 experts of rank 2"):
        assert words in card
    assert "Trained on synthetic scans" not in card


def test_a_bundle_of_phantoms_says_that_it_is_synthetic(tmp_path):
    save_bundle(tmp_path / "bundle", trained(), grid=GRID, provenance={"store": {"source": "phantom"}})
    assert load_bundle(tmp_path / "bundle").synthetic
    assert "**Trained on synthetic scans**" in (tmp_path / "bundle/MODEL_CARD.md").read_text()


def test_the_hash_stands_for_the_whole_bundle(tmp_path):
    for name, adapted in (("one", trained()), ("same", trained()), ("other", trained(site="last_block"))):
        save_bundle(tmp_path / name, adapted, grid=GRID, provenance={})
    one, same, other = (load_bundle(tmp_path / name).sha for name in ("one", "same", "other"))
    assert one == same != other


def test_a_bundle_is_replaced_whole_and_a_failed_one_leaves_nothing(tmp_path):
    folder = tmp_path / "bundle"
    save_bundle(folder, trained("full"), grid=GRID, provenance={})
    adapted = trained("none")
    save_bundle(folder, adapted, grid=GRID, provenance={})
    assert not (folder / "backbone.safetensors").exists()
    with torch.no_grad():
        adapted.classifier.head.bias[0] = torch.nan
    sha = load_bundle(folder).sha
    with pytest.raises(BundleError, match="diverged"):
        save_bundle(folder, adapted, grid=GRID, provenance={})
    assert load_bundle(folder).sha == sha
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_adapter_that_diverged_is_not_shipped(tmp_path):
    adapted = trained()
    with torch.no_grad():
        adapted.classifier.site.molre_up["default"][0] = torch.inf
    with pytest.raises(BundleError, match="diverged"):
        save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})


def test_a_backbone_changed_behind_the_adapter_is_noticed_at_saving(tmp_path):
    adapted = trained()
    with torch.no_grad():
        adapted.classifier.backbone.vit.norm.weight.add_(1e-3)
    with pytest.raises(BundleError, match="frozen weights changed"):
        save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})


def test_another_backbone_than_the_bundle_s_is_noticed_at_loading(tmp_path):
    other = build("dinov3-bundled", seed=9)
    other.vit.save_pretrained(tmp_path / "other")
    save_bundle(tmp_path / "bundle", trained(), grid=GRID, provenance={})
    with pytest.raises(BundleError, match="other weights here"):
        load_bundle(tmp_path / "bundle", weights=str(tmp_path / "other"))


def test_local_weights_are_found_again_or_asked_for(tmp_path):
    build("dinov3-bundled", seed=9).vit.save_pretrained(tmp_path / "weights")
    adapted, hu = trained(weights=str(tmp_path / "weights")), volumes()
    save_bundle(tmp_path / "bundle", adapted, grid=GRID, provenance={})
    wanted = probabilities(adapted, hu)
    assert np.array_equal(load_bundle(tmp_path / "bundle").predict(hu), wanted)
    (tmp_path / "weights").rename(tmp_path / "moved")
    with pytest.raises(BundleError, match="cannot be had"):
        load_bundle(tmp_path / "bundle")
    assert np.array_equal(load_bundle(tmp_path / "bundle", weights=str(tmp_path / "moved")).predict(hu), wanted)


@pytest.mark.parametrize("name", ["head.safetensors", "adapter_model.safetensors", "adapter_config.json"])
def test_a_damaged_or_missing_file_is_noticed(name, tmp_path):
    folder = tmp_path / "bundle"
    save_bundle(folder, trained(), grid=GRID, provenance={})
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} .* is not what"):
        load_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(folder)


def test_no_bundle_and_a_bundle_of_another_version(tmp_path):
    with pytest.raises(BundleError, match="no bundle at"):
        load_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text('{"schema": 99}')
    with pytest.raises(BundleError, match="another version"):
        load_bundle(tmp_path)


def test_volumes_off_the_grid_are_refused(tmp_path):
    save_bundle(tmp_path / "bundle", trained(), grid=GRID, provenance={})
    with pytest.raises(ConfigError, match="do not fit the bundle's grid 'small'"):
        load_bundle(tmp_path / "bundle").predict(np.zeros((1, 4, 32, 32), np.int16))


@pytest.mark.parametrize("wrong", [{"no_such_finding": 0.5}, {"calvarial_fracture": 1.5}])
def test_a_threshold_must_be_a_finding_s_probability(wrong, tmp_path):
    with pytest.raises(BundleError, match="threshold"):
        save_bundle(tmp_path / "bundle", trained(), grid=GRID, provenance={}, thresholds=wrong)


def test_a_bundle_loads_without_ray_or_deepspeed():
    code = "import sys, molre.bundle; print([m for m in ('ray', 'deepspeed') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
