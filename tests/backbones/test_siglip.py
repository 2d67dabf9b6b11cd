"""MedGemma's and MedSigLIP's vision towers: sizes, features by formula, and weights in every layout."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from molre.backbones import build, fingerprint, outline, spec_named
from molre.backbones.weights import SafetensorsState, load_strictly
from molre.errors import WeightsError

NAMES = ("medgemma-4b", "medsiglip-448")
HEADS = [("medgemma-4b", False), ("medsiglip-448", True)]
TOWERS = ("vision_tower.vision_model.", "model.vision_tower.vision_model.", "model.vision_tower.", "vision_model.", "")
OTHERS = {
    "language_model.model.embed_tokens.weight": torch.zeros(5, 3),
    "model.language_model.layers.0.mlp.up_proj.weight": torch.zeros(4, 3),
    "language_model.lm_head.weight": torch.zeros(5, 3),
    "lm_head.weight": torch.zeros(5, 3),
    "model.multi_modal_projector.mm_input_projection_weight": torch.zeros(2, 2),
    "multi_modal_projector.mm_soft_emb_norm.weight": torch.zeros(2),
    "text_model.embeddings.token_embedding.weight": torch.zeros(5, 3),
    "text_model.head.bias": torch.zeros(3),
    "logit_scale": torch.zeros(1),
    "logit_bias": torch.zeros(1),
    "vision_model.embeddings.position_ids": torch.arange(16)[None],
}
"""What stands beside the tower in the files of one model or the other."""


def layout(px, head, hidden=1152, layers=27, mlp=4304):
    """Names and shapes of a SigLIP tower, by hand."""
    told = {
        "embeddings.patch_embedding.weight": (hidden, 3, 14, 14),
        "embeddings.patch_embedding.bias": (hidden,),
        "embeddings.position_embedding.weight": ((px // 14) ** 2, hidden),
    }
    norms, linears = ["post_layernorm"], {}
    for at in range(layers):
        layer = f"encoder.layers.{at}."
        norms += [f"{layer}layer_norm1", f"{layer}layer_norm2"]
        linears |= {f"{layer}self_attn.{name}_proj": (hidden, hidden) for name in ("q", "k", "v", "out")}
        linears |= {f"{layer}mlp.fc1": (mlp, hidden), f"{layer}mlp.fc2": (hidden, mlp)}
    if head:
        told |= {
            "head.probe": (1, 1, hidden),
            "head.attention.in_proj_weight": (3 * hidden, hidden),
            "head.attention.in_proj_bias": (3 * hidden,),
        }
        norms.append("head.layernorm")
        linears |= {
            "head.attention.out_proj": (hidden, hidden),
            "head.mlp.fc1": (mlp, hidden),
            "head.mlp.fc2": (hidden, mlp),
        }
    for name, (rows, columns) in linears.items():
        told |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    return told | {f"{name}.{part}": (hidden,) for name in norms for part in ("weight", "bias")}


def tensors(shapes, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(shape, generator=generator) * 0.2 for key, shape in shapes.items()}


def small_state(head):
    return tensors(layout(56, head, hidden=48, layers=2, mlp=80))


def attended(query, key, value, heads):
    """Scaled dot-product attention from its formula."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    return ((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v).transpose(1, 2).flatten(2)


def feature(state, images, heads=4, layers=2):
    """A SigLIP tower from its definition."""

    def norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def mlp(x, name):
        return linear(functional.gelu(linear(x, f"{name}.fc1"), approximate="tanh"), f"{name}.fc2")

    patches = images.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    x = patches @ state["embeddings.patch_embedding.weight"].flatten(1).T + state["embeddings.patch_embedding.bias"]
    x = x + state["embeddings.position_embedding.weight"]
    for at in range(layers):
        layer = f"encoder.layers.{at}."
        y = norm(x, f"{layer}layer_norm1")
        q, k, v = (linear(y, f"{layer}self_attn.{name}_proj") for name in "qkv")
        x = x + linear(attended(q, k, v, heads), f"{layer}self_attn.out_proj")
        x = x + mlp(norm(x, f"{layer}layer_norm2"), f"{layer}mlp")
    x = norm(x, "post_layernorm")
    if "head.probe" not in state:
        return x.mean(1)
    weights, biases = (state[f"head.attention.in_proj_{part}"].chunk(3) for part in ("weight", "bias"))
    q = state["head.probe"].expand(len(x), -1, -1) @ weights[0].T + biases[0]
    k, v = (x @ weights[at].T + biases[at] for at in (1, 2))
    x = linear(attended(q, k, v, heads), "head.attention.out_proj")
    return (x + mlp(norm(x, "head.layernorm"), "head.mlp"))[:, 0]


def images(n=2, px=56):
    return torch.randn(n, 3, px, px, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "head", "count", "parameters"), [(NAMES[0], False, 437, 416_866_032), (NAMES[1], True, 448, 428_565_440)]
)
@pytest.mark.parametrize("tower", TOWERS)
def test_the_published_layout_fits_at_full_size(name, head, count, parameters, tower):
    spec, network = spec_named(name), outline(name)
    told = layout(spec.input.image_px, head)
    state = {tower + key: torch.empty(shape, device="meta") for key, shape in told.items()}
    translated, left_out = network.translated(state)
    load_strictly(network, translated, "the published layout")
    assert (len(told), left_out) == (count, [])
    assert sum(math.prod(shape) for shape in told.values()) == parameters == spec.parameters


def test_the_paper_s_431m_is_nearest_to_an_896_px_tower_with_a_head():
    assert sum(math.prod(shape) for shape in layout(896, head=True).values()) == 432_104_384
    for name in NAMES:
        assert "432,104,384" in spec_named(name).count_source


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_features_are_those_of_the_definition(small, tmp_path, name, head):
    state = small_state(head)
    save_file(state, tmp_path / "tower.safetensors")
    backbone = build(small(name), weights=str(tmp_path / "tower.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(backbone(images()), feature(state, images()), atol=2e-5, rtol=1e-4)
        evaluated = backbone(images())
        assert torch.equal(backbone.train()(images()), evaluated)


@pytest.mark.parametrize(("name", "head"), HEADS)
@pytest.mark.parametrize("tower", TOWERS)
def test_every_layout_loads_exactly_and_the_rest_of_the_file_is_left_out_unread(
    small, tmp_path, monkeypatch, name, head, tower
):
    state, read = small_state(head), []
    save_file({tower + key: value for key, value in state.items()} | OTHERS, tmp_path / "model.safetensors")
    one = SafetensorsState.__getitem__
    monkeypatch.setattr(SafetensorsState, "__getitem__", lambda self, key: read.append(key) or one(self, key))
    backbone = build(small(name), weights=str(tmp_path))
    loaded = backbone.state_dict()
    assert len(loaded) == backbone.provenance["tensors"] == len(state)
    assert all(torch.equal(loaded[f"vit.{key}"], value) for key, value in state.items())
    assert backbone.provenance["left_out"] == len(OTHERS)
    assert len(set(read) & set(OTHERS)) <= 1  # the tests' check of types looks at one value of a mapping


@pytest.mark.parametrize("tower", TOWERS[:3])
def test_a_sharded_medgemma_needs_only_the_tower_s_shards(small, tmp_path, tower):
    state = {tower + key: value for key, value in small_state(head=False).items()}
    shards = {key: f"model-0000{1 + at % 2}-of-00003.safetensors" for at, key in enumerate(state)}
    index = shards | {"language_model.model.layers.0.mlp.up_proj.weight": "model-00003-of-00003.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    for shard in set(shards.values()):
        save_file({key: value for key, value in state.items() if shards[key] == shard}, tmp_path / shard)
    backbone = build(small("medgemma-4b"), weights=str(tmp_path))
    assert all(torch.equal(backbone.state_dict()[f"vit.{key.removeprefix(tower)}"], state[key]) for key in state)


def test_a_fine_tuned_tower_loads_under_its_own_names(small, tmp_path):
    name = small("medsiglip-448")
    first = build(name, weights="random", seed=4)
    save_file(first.state_dict(), tmp_path / "tuned.safetensors")
    assert fingerprint(build(name, weights=str(tmp_path / "tuned.safetensors"))) == fingerprint(first)


def test_weights_of_another_network_are_refused_with_counts_and_keys(small, tmp_path):
    state = small_state(head=True)
    del state["post_layernorm.bias"]
    state["classifier.weight"] = torch.zeros(3)
    state["embeddings.position_embedding.weight"] = torch.zeros(9, 48)
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError) as refused:
        build(small("medsiglip-448"), weights=str(tmp_path / "odd.safetensors"))
    assert "1 missing (vit.post_layernorm.bias)" in str(refused.value)
    assert "1 unexpected (vit.classifier.weight)" in str(refused.value)
    assert "1 of another shape (vit.embeddings.position_embedding.weight (9, 48) for (16, 48))" in str(refused.value)


def test_a_tower_with_a_head_is_not_taken_for_medgemma_s(small, tmp_path):
    save_file(small_state(head=True), tmp_path / "tower.safetensors")
    with pytest.raises(WeightsError, match=r"0 missing, 11 unexpected \(vit\.head\."):
        build(small("medgemma-4b"), weights=str(tmp_path / "tower.safetensors"))
