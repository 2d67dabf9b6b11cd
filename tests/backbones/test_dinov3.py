"""DINOv3: sizes, readout, and weights from every source."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DINOv3ViTModel

from molre.backbones import build, fingerprint, spec_named
from molre.backbones.dinov3 import PREFIX, configuration
from molre.errors import WeightsError

TINY = "dinov3-tiny"


@pytest.fixture(scope="module")
def tiny():
    return build(TINY, weights="random", seed=3)


def images(n=2, px=112):
    return torch.randn(n, 3, px, px, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "parameters"), [("dinov3-vitb16", 85_660_416), ("dinov3-vitl16", 303_129_600), (TINY, 2_819_520)]
)
def test_the_architecture_has_the_published_size(name, parameters):
    with torch.device("meta"):
        vit = DINOv3ViTModel(configuration(spec_named(name)))
    assert sum(p.numel() for p in vit.parameters()) == parameters == spec_named(name).parameters


def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (build(TINY, weights="random", seed=seed) for seed in (0, 0, 1))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert first.provenance["description"] == "random, seed 0"
    assert torch.equal(torch.get_rng_state(), state)


def test_random_weights_have_the_architecture_s_own_initial_spread(tiny):
    state = tiny.vit.state_dict()
    layer = next(key for key in state if key.endswith("layer.0.mlp.up_proj.weight"))
    assert state[layer].std().item() == pytest.approx(0.02, rel=0.05)
    assert state["norm.weight"].eq(1).all()
    assert all(torch.isfinite(value).all() for value in state.values())


def test_features_are_those_of_transformers(tiny):
    reference = DINOv3ViTModel(configuration(tiny.spec)).eval()
    reference.load_state_dict(tiny.vit.state_dict())
    tokens = reference(pixel_values=images()).last_hidden_state
    assert tokens.shape[1] == PREFIX + 49
    assert torch.equal(tiny(images()), tokens[:, PREFIX:].mean(1))


def test_features_do_not_depend_on_the_mode():
    backbone = build(TINY, weights="random")
    with torch.no_grad():
        evaluated = backbone(images())
        assert torch.equal(backbone.train()(images()), evaluated)


def test_the_large_ones_read_their_cls_token():
    backbone = build("dinov3-vitb16", weights="random")
    with torch.no_grad():
        feature = backbone(images(1, 224))
        token = backbone.vit(pixel_values=images(1, 224)).last_hidden_state[:, 0]
    assert feature.shape == (1, 768)
    assert torch.equal(feature, token)


def test_a_transformers_folder_loads_exactly_and_is_named_by_its_hash(tiny, tmp_path):
    tiny.vit.save_pretrained(tmp_path / "vit")
    loaded = build(TINY, weights=str(tmp_path / "vit"))
    assert fingerprint(loaded) == fingerprint(tiny)
    assert loaded.provenance["source"] == "local"
    assert len(loaded.provenance["sha256"]) == 64


def test_a_sharded_folder_loads(tiny, tmp_path):
    tiny.vit.save_pretrained(tmp_path / "vit", max_shard_size="4MB")
    assert len(json.loads((tmp_path / "vit/model.safetensors.index.json").read_text())["weight_map"]) > 1
    assert fingerprint(build(TINY, weights=str(tmp_path / "vit"))) == fingerprint(tiny)


@pytest.mark.parametrize("layout", ["layer.", "model.layer."])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_file_loads_in_the_layout_of_either_transformers_release(tiny, tmp_path, layout, suffix):
    state = {key.replace("model.layer.", layout): value for key, value in tiny.vit.state_dict().items()}
    file = tmp_path / f"weights.{suffix}"
    save_file(state, file) if suffix == "safetensors" else torch.save(state, file)
    assert fingerprint(build(TINY, weights=str(file))) == fingerprint(tiny)


def test_safetensors_under_another_name_load(tiny, tmp_path):
    save_file(tiny.vit.state_dict(), tmp_path / "model.pt")
    assert fingerprint(build(TINY, weights=str(tmp_path / "model.pt"))) == fingerprint(tiny)


def test_half_precision_is_upcast(tiny, tmp_path):
    save_file({key: value.half() for key, value in tiny.vit.state_dict().items()}, tmp_path / "half.safetensors")
    loaded = build(TINY, weights=str(tmp_path / "half.safetensors"))
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.allclose(loaded(images()), tiny(images()), atol=2e-2)


def original_layout(state):
    """A state dict as github.com/facebookresearch/dinov3 saves it, from transformers' one."""
    state = {key.removeprefix("model."): value for key, value in state.items()}
    names = {
        "cls_token": state["embeddings.cls_token"],
        "mask_token": state["embeddings.mask_token"][0],
        "storage_tokens": state["embeddings.register_tokens"],
        "patch_embed.proj.weight": state["embeddings.patch_embeddings.weight"],
        "patch_embed.proj.bias": state["embeddings.patch_embeddings.bias"],
        "rope_embed.periods": torch.ones(16),
        "norm.weight": state["norm.weight"],
        "norm.bias": state["norm.bias"],
    }
    for at in range(6):
        old, new = f"layer.{at}.", f"blocks.{at}."
        q, k, v = (state[f"{old}attention.{letter}_proj.weight"] for letter in "qkv")
        names[f"{new}attn.qkv.weight"] = torch.cat([q, k, v])
        q, v = (state[f"{old}attention.{letter}_proj.bias"] for letter in "qv")
        names[f"{new}attn.qkv.bias"] = torch.cat([q, torch.full_like(q, torch.nan), v])
        names[f"{new}attn.qkv.bias_mask"] = torch.ones(3 * len(q))
        for part in ("weight", "bias"):
            names[f"{new}attn.proj.{part}"] = state[f"{old}attention.o_proj.{part}"]
            names[f"{new}mlp.fc1.{part}"] = state[f"{old}mlp.up_proj.{part}"]
            names[f"{new}mlp.fc2.{part}"] = state[f"{old}mlp.down_proj.{part}"]
            for norm in (1, 2):
                names[f"{new}norm{norm}.{part}"] = state[f"{old}norm{norm}.{part}"]
        for scale in (1, 2):
            names[f"{new}ls{scale}.gamma"] = state[f"{old}layer_scale{scale}.lambda1"]
    return names


def test_the_original_checkpoint_layout_loads(tiny, tmp_path):
    torch.save(original_layout(tiny.vit.state_dict()), tmp_path / "dinov3.pth")
    assert fingerprint(build(TINY, weights=str(tmp_path / "dinov3.pth"))) == fingerprint(tiny)


def test_weights_of_another_network_are_refused_with_counts_and_keys(tiny, tmp_path):
    state = dict(tiny.vit.state_dict())
    del state["norm.weight"]
    state["head.weight"] = torch.zeros(3)
    state["norm.bias"] = torch.zeros(7)
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError) as refused:
        build(TINY, weights=str(tmp_path / "odd.safetensors"))
    message = str(refused.value)
    assert "1 missing (vit.norm.weight)" in message
    assert "1 unexpected (vit.head.weight)" in message
    assert "1 of another shape (vit.norm.bias (7,) for (192,))" in message
    assert "\n" not in message


def test_a_checkpoint_that_would_run_code_is_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"norm.weight": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(WeightsError, match="cannot read"):
        build(TINY, weights=str(tmp_path / "trap.pt"))


@pytest.mark.parametrize("content", [b"", b"not weights at all"])
@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pt"])
def test_a_damaged_file_is_one_clear_line(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot read"):
        build(TINY, weights=str(tmp_path / name))


def test_a_folder_without_weights_and_a_path_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match=r"no model\.safetensors"):
        build(TINY, weights=str(tmp_path))
    for absent in (str(tmp_path / "absent"), "folder/file.pth", "absent.safetensors"):
        with pytest.raises(WeightsError, match="no weights at"):
            build(TINY, weights=absent)


def test_a_hub_that_cannot_be_reached_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"facebook/dinov3-vitb16-pretrain-lvd1689m@5931719e.*gated") as refused:
        build("dinov3-vitb16", weights="facebook/dinov3-vitb16-pretrain-lvd1689m")
    assert "\n" not in str(refused.value)


def test_a_hub_snapshot_in_the_cache_needs_no_network(monkeypatch, tmp_path, tiny):
    commit = "a" * 40
    folder = tmp_path / "models--someone--tiny"
    tiny.vit.save_pretrained(folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("molre.backbones.weights.snapshot_download", cached_in(tmp_path))
    loaded = build(TINY, weights=f"someone/tiny@{commit}")
    assert fingerprint(loaded) == fingerprint(tiny)
    assert loaded.provenance["revision"] == commit


def cached_in(folder):
    from huggingface_hub import snapshot_download

    return lambda *args, **kwargs: snapshot_download(*args, **kwargs, cache_dir=folder)


def test_packaged_weights_are_the_default_where_they_exist(tiny, tmp_path, monkeypatch):
    from dataclasses import replace

    from molre.backbones import BACKBONES

    file = tmp_path / "packaged.safetensors"
    save_file({key: value.half() for key, value in tiny.vit.state_dict().items()}, file)
    monkeypatch.setitem(BACKBONES, TINY, replace(spec_named(TINY), packaged=file))
    packaged = build(TINY)
    assert packaged.provenance["source"] == "packaged"
    assert packaged.provenance["description"] == "phantom-pretrained, packaged"
    assert torch.equal(packaged.vit.norm.weight.half(), load_file(file)["norm.weight"])
    assert build(TINY, weights="random").provenance["source"] == "random"
