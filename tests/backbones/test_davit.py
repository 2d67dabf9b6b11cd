"""MedImageInsight's image tower: its published layout at full size and small, features by formula, and refusals."""

import csv
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional

from molre.backbones import build, fingerprint, outline, spec_named
from molre.backbones.weights import load_strictly
from molre.errors import WeightsError

NAME = "medimageinsight"
LAYOUT = Path(__file__).parent / "medimageinsight.tsv"
OTHERS = {
    "text.embeddings.weight": torch.zeros(5, 3),
    "text.layers.0.attn.bias": torch.zeros(3),
    "text_projection": torch.zeros(3, 2),
    "vision_projection": torch.zeros(4, 2),
    "logit_scale": torch.zeros(()),
}
"""What stands beside the image tower in the published file."""


def published(divisor=1):
    """Names and shapes of the published tower, its channels divided; kernels and the RGB of the image stay."""
    with LAYOUT.open() as lines:
        for name, shape in csv.reader(lines, delimiter="\t"):
            sizes = [int(size) for size in shape.split("x")]
            yield name, tuple(size if size < 256 else size // divisor for size in sizes)


def tensors(divisor=1, dtype=torch.float32, seed=7):
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in published(divisor):
        # Spread so that every branch weighs in, and norms far from the identity.
        spread = 0.3 if len(shape) == 1 else 1 / math.sqrt(math.prod(shape[1:]))
        state[name] = (torch.randn(shape, generator=generator) * spread + 0.5 * (len(shape) == 1)).to(dtype)
    return state


def images(n=2, px=96):
    return torch.randn(n, 3, px, px, generator=torch.Generator().manual_seed(0))


class ByFormula:
    """A DaViT from its definition, in the published names."""

    def __init__(self, state, heads):
        self.state, self.heads = state, heads

    def norm(self, x, name):
        return functional.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def linear(self, x, name):
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def conv(self, x, name, **how):
        """A convolution of maps whose channels come last."""
        told = functional.conv2d(x.movedim(-1, 1), self.state[f"{name}.weight"], self.state[f"{name}.bias"], **how)
        return told.movedim(1, -1)

    def depthwise(self, x, name):
        return x + self.conv(x, f"{name}.fn.dw", padding=1, groups=x.shape[-1])

    def mixed(self, x, name):
        y = self.linear(self.norm(x, f"{name}.norm"), f"{name}.fn.net.fc1")
        return x + self.linear(functional.gelu(y), f"{name}.fn.net.fc2")

    def in_windows(self, x, name, heads, side=12):
        """Attention among the 144 places of a window; maps are padded with zeros to whole windows after the norm."""
        n, rows, columns, channels = x.shape
        y = self.norm(x, f"{name}.norm")
        y = functional.pad(y, (0, 0, 0, -columns % side, 0, -rows % side))
        told = torch.empty_like(y)
        for top in range(0, y.shape[1], side):
            for left in range(0, y.shape[2], side):
                window = y[:, top : top + side, left : left + side].flatten(1, 2)
                q, k, v = self.linear(window, f"{name}.fn.qkv").chunk(3, -1)
                q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
                weights = (q @ k.mT / math.sqrt(channels // heads)).softmax(-1)
                out = self.linear((weights @ v).transpose(1, 2).flatten(2), f"{name}.fn.proj")
                told[:, top : top + side, left : left + side] = out.view(n, side, side, channels)
        return x + told[:, :rows, :columns]

    def among_channels(self, x, name, groups):
        """Attention among the channels of a group, over all places."""
        places = self.norm(x, f"{name}.norm").flatten(1, 2)
        q, k, v = (p.unflatten(-1, (groups, -1)) for p in self.linear(places, f"{name}.fn.qkv").chunk(3, -1))
        weights = (torch.einsum("npgc,npgd->ngcd", q, k) / math.sqrt(places.shape[1])).softmax(-1)
        out = torch.einsum("ngcd,npgd->npgc", weights, v).flatten(2)
        return x + self.linear(out, f"{name}.fn.proj").view(x.shape)

    def feature(self, pixels):
        x = pixels.movedim(1, -1)
        for stage, heads in enumerate(self.heads):
            if stage:
                x = self.norm(x, f"convs.{stage}.norm")
                x = self.conv(x, f"convs.{stage}.proj", stride=2, padding=1)
            else:
                x = self.norm(self.conv(x, "convs.0.proj", stride=4, padding=3), "convs.0.norm")
            for block in range((1, 1, 9, 1)[stage]):
                for kind, attention in (("spatial", self.in_windows), ("channel", self.among_channels)):
                    name = f"blocks.{stage}.{block}.{kind}_block"
                    x = self.depthwise(x, f"{name}.conv1")
                    x = attention(x, f"{name}.{'window' if kind == 'spatial' else 'channel'}_attn", heads)
                    x = self.mixed(self.depthwise(x, f"{name}.conv2"), f"{name}.ffn")
        return self.norm(x.mean((1, 2)), "norms")


def test_the_count_is_the_published_tower_s():
    shapes = dict(published())
    assert len(shapes) == 402
    assert sum(math.prod(shape) for shape in shapes.values()) == 360_636_416 == spec_named(NAME).parameters


@pytest.mark.parametrize("tower", ["visual.", ""])
def test_the_published_layout_fits_at_full_size(tower):
    network = outline(NAME)
    state = {tower + name: torch.empty(shape, device="meta") for name, shape in published()}
    translated, left_out = network.translated(state | OTHERS)
    load_strictly(network, translated, "the published layout")
    assert (len(translated), left_out) == (402, list(OTHERS))


@pytest.mark.parametrize("tower", ["visual.", ""])
def test_every_value_loads_and_features_are_those_of_the_definition(small, tmp_path, tower):
    state = tensors(16)
    file = {tower + name: value for name, value in state.items()} | OTHERS
    save_file(file, tmp_path / "medimageinsigt-v1.0.0.pt")
    backbone = build(small(NAME), weights=str(tmp_path / "medimageinsigt-v1.0.0.pt"))
    assert (backbone.provenance["tensors"], backbone.provenance["left_out"]) == (402, len(OTHERS))
    assert same(backbone, state)
    with torch.no_grad():
        wanted = ByFormula(state, (1, 2, 4, 8)).feature(images())
        torch.testing.assert_close(backbone(images()), wanted, atol=1e-5, rtol=1e-4)
        assert torch.equal(backbone.train()(images()), backbone.eval()(images()))


@pytest.mark.slow
def test_a_file_of_the_published_size_loads(tmp_path):
    """The 402 tensors alone, in their own shapes: exactly what was published as the tower."""
    file = tmp_path / "medimageinsigt-v1.0.0.pt"
    save_file(tensors(dtype=torch.bfloat16), file)
    backbone = build(NAME, weights=str(file))
    assert (backbone.provenance["tensors"], backbone.provenance["left_out"]) == (402, 0)
    assert backbone.provenance["parameters"] == 360_636_416
    held = backbone.state_dict()
    with safe_open(file, "pt") as stored:  # one tensor at a time: the whole is large
        assert all(torch.equal(held[here(key)], stored.get_tensor(key).float()) for key in dict(published()))
    file.unlink()
    with torch.no_grad():
        wanted = ByFormula({key: held[here(key)] for key, _ in published()}, (8, 16, 32, 64)).feature(images(1))
        torch.testing.assert_close(backbone(images(1)), wanted, atol=1e-4, rtol=1e-3)


def same(backbone, state):
    """Whether a backbone holds exactly these values, each under the name that DaViT's parts give it here."""
    held = backbone.state_dict()
    return len(held) == len(state) and all(torch.equal(held[here(key)], value.float()) for key, value in state.items())


def here(key):
    """A published name as transformers has it, put together part by part."""
    head, *middle, last = key.split(".")
    if head == "norms":
        return f"norm.{last}"
    if head == "convs":
        return f"davit.convs.{middle[0]}.{'conv' if middle[1] == 'proj' else 'norm'}.{last}"
    stage, block, kind, part, *inner = middle
    start = f"davit.blocks.{stage}.{block}.{kind}"
    if inner == ["norm"]:
        return f"{start}.{'norm2' if part == 'ffn' else 'norm1'}.{last}"
    return f"{start}.{part}.{last}" if inner[-1] == "dw" else f"{start}.{part}.{inner[-1]}.{last}"


def test_a_copy_of_the_whole_repository_is_read_at_the_published_file(small, tmp_path):
    name = small(NAME)
    file = tmp_path / "copy" / spec_named(NAME).hub_file
    file.parent.mkdir(parents=True)
    save_file(tensors(16) | OTHERS, file)
    assert fingerprint(build(name, weights=str(tmp_path / "copy"))) == fingerprint(build(name, weights=str(file)))


def test_weights_of_another_network_are_refused_with_counts_and_keys(small, tmp_path):
    state = {f"visual.{key}": value for key, value in tensors(16).items()}
    del state["visual.convs.2.proj.bias"]
    state["visual.head.weight"] = torch.zeros(3)
    state["visual.norms.bias"] = torch.zeros(7)
    save_file(state, tmp_path / "odd.pt")
    with pytest.raises(WeightsError) as refused:
        build(small(NAME), weights=str(tmp_path / "odd.pt"))
    assert "1 missing (davit.convs.2.conv.bias)" in str(refused.value)
    assert "1 unexpected (visual.head.weight)" in str(refused.value)
    assert "1 of another shape (norm.bias (7,) for (128,))" in str(refused.value)


def test_a_published_file_that_would_run_code_is_not_unpickled(small, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"visual.norms.weight": Trap()}, tmp_path / "medimageinsigt-v1.0.0.pt")
    with pytest.raises(WeightsError, match="cannot read"):
        build(small(NAME), weights=str(tmp_path / "medimageinsigt-v1.0.0.pt"))
    assert not (tmp_path / "ran").exists()


def test_without_a_pinned_revision_the_hub_is_refused_before_it_is_asked():
    with pytest.raises(WeightsError, match="give lion-ai/MedImageInsights@COMMIT"):
        build(NAME, weights="lion-ai/MedImageInsights")
