"""What holds for every backbone that reads volumes and can be built without its weights."""

import re

import pytest
import torch
from safetensors.torch import save_file

from molre.adapters import AdapterConfig, attach
from molre.backbones import BACKBONES, build, fingerprint, outline, spec_named
from molre.classifier import Classifier
from molre.errors import WeightsError
from molre.volume import GRIDS

DENSENET = "monai-densenet-7m"
COUNTS = {"ct-fm": 77_760_992, DENSENET: 7_032_256, "fm-hct": 89_404_416}


@pytest.fixture(scope="module")
def densenet():
    return build(DENSENET, weights="random", seed=3)


def images(n=1, shape=(32, 128, 128)):
    return torch.rand(n, 3, *shape, generator=torch.Generator().manual_seed(0))


def test_these_are_all_of_them():
    assert {name for name, spec in BACKBONES.items() if spec.dims == 3 and not spec.remote_code} == set(COUNTS)


@pytest.mark.parametrize(("name", "parameters"), COUNTS.items(), ids=list(COUNTS))
def test_the_outline_has_the_entry_s_size_and_takes_no_memory(name, parameters):
    backbone = outline(name)
    assert sum(value.numel() for value in backbone.parameters()) == parameters == spec_named(name).parameters
    assert {value.device.type for value in backbone.parameters()} == {"meta"}
    assert sum(value.numel() for value in backbone.buffers()) < parameters / 100  # running statistics
    assert not backbone.training


@pytest.mark.parametrize("name", COUNTS)
def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone(name):
    state = torch.get_rng_state()
    first, again = (build(name, weights="random", seed=1).provenance["fingerprint"] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again
    if name == DENSENET:
        assert build(name, weights="random", seed=2).provenance["fingerprint"] != first


@pytest.mark.parametrize("name", COUNTS)
def test_it_fits_every_grid(name):
    for grid in GRIDS.values():
        spec_named(name).input.check(grid)


def test_missing_unexpected_and_misshapen_tensors_are_counted_and_named(densenet, tmp_path):
    state = dict(densenet.state_dict())
    del state["features.norm5.running_var"]
    state["features.norm6.weight"] = torch.zeros(3)
    state["features.norm5.bias"] = torch.zeros(7)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError) as refusal:
        build(DENSENET, weights=str(tmp_path / "other.safetensors"))
    told = str(refusal.value)
    assert "1 missing (features.norm5.running_var)" in told
    assert "1 unexpected (features.norm6.weight)" in told
    assert "1 of another shape (features.norm5.bias (7,) for (800,))" in told


def test_monai_s_own_checkpoint_loads_without_its_classification_layer(densenet, tmp_path):
    state = {
        **densenet.state_dict(),
        "class_layers.out.weight": torch.zeros(2, 800),
        "class_layers.out.bias": torch.zeros(2),
    }
    torch.save(state, tmp_path / "monai.pt")
    loaded = build(DENSENET, weights=str(tmp_path / "monai.pt"))
    assert fingerprint(loaded) == fingerprint(densenet)
    assert loaded.provenance["left_out"] == 2
    assert loaded.features.norm0.num_batches_tracked.dtype == torch.int64


def test_the_densenet_gives_what_monai_hands_to_its_classification_layer(densenet):
    from monai.networks.nets import DenseNet

    reference = DenseNet(3, 3, 2, init_features=64, growth_rate=32, block_config=(6, 8, 12, 16)).eval()
    reference.features.load_state_dict(densenet.features.state_dict())
    reference.class_layers.out = torch.nn.Identity()
    with torch.no_grad():
        assert torch.allclose(densenet(images(2)), reference(images(2)), atol=1e-6)


def statistics(backbone):
    return {key: value.clone() for key, value in backbone.state_dict().items() if "running" in key or "batches" in key}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_frozen_norms_neither_move_nor_look_at_the_batch_in_training_mode():
    backbone = build(DENSENET, weights="random")
    classifier = Classifier(backbone, grid=GRIDS["demo"])
    attach(classifier, AdapterConfig(kind="none"))
    before = statistics(backbone)
    with torch.no_grad():
        evaluated = backbone(images(2))
        classifier.train()
        assert classifier.training
        assert not any(module.training for module in backbone.modules())
        assert torch.equal(backbone(images(2)), evaluated)
    assert same(statistics(backbone), before)


def test_full_fine_tuning_may_move_the_norms_and_evaluation_stops_it():
    backbone = build(DENSENET, weights="random")
    classifier = Classifier(backbone, grid=GRIDS["demo"])
    attach(classifier, AdapterConfig(kind="full"))
    before = statistics(backbone)
    with torch.no_grad():
        classifier.train()
        backbone(images(2))
        moved = statistics(backbone)
        assert not same(moved, before)
        classifier.eval()
        backbone(images(2))
    assert same(statistics(backbone), moved)


def test_a_norm_stays_still_where_only_other_layers_are_trained():
    backbone = build(DENSENET, weights="random")
    backbone.requires_grad_(False)
    backbone.features.conv0.weight.requires_grad_(True)
    backbone.train()
    assert backbone.features.conv0.training
    assert not backbone.features.norm0.training


def test_an_adapter_within_a_frozen_backbone_still_trains():
    classifier = Classifier(build("dinov3-tiny", weights="random"))
    adapted = attach(classifier, AdapterConfig(kind="lora", site="last_block", dropout=0.5, over_budget=True))
    adapted.model.train()
    dropouts = [part for name, part in classifier.backbone.named_modules() if name.endswith("lora_dropout.default")]
    assert len(dropouts) == 4
    assert all(dropout.training for dropout in dropouts)


def test_the_memory_of_a_forward_pass_is_about_what_the_entry_says(densenet):
    from torch.profiler import ProfilerActivity, profile

    spec, grid = densenet.spec, GRIDS["head-2.5mm"]
    hu = torch.zeros(1, *grid.shape, dtype=torch.int16)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        densenet(spec.input.of(hu, spec.windows, grid.spacing_mm))
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    assert spec.forward_mib / 2 < peak / 2**20 <= spec.forward_mib


def test_no_entry_claims_to_be_deepcntd():
    assert not any(re.search("deepcntd", name, re.IGNORECASE) for name in BACKBONES)
