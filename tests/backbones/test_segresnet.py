"""CT-FM: the published layout, and the coarsest map's average."""

import pytest
import torch
from monai.networks.nets.segresnet_ds import SegResEncoder
from safetensors.torch import save_file

from molre.backbones import build, fingerprint, outline, spec_named

NAME = "ct-fm"
BLOCKS = (1, 2, 2, 4, 4)


@pytest.fixture(scope="module")
def random():
    return build(NAME, weights="random", seed=3)


def published_names():
    """Keys of project-lighter/ct_fm_feature_extractor's model.safetensors."""
    names = ["conv_init.weight"]
    for level, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            for half in (1, 2):
                within = f"layers.{level}.blocks.{block}."
                statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
                names += [f"{within}norm{half}.{part}" for part in statistics] + [f"{within}conv{half}.weight"]
        if level < len(BLOCKS) - 1:
            names.append(f"layers.{level}.downsample.weight")
    return names


def in_layout(backbone, prefix):
    return {f"{prefix}{name}": backbone.state_dict()[f"encoder.{name}"] for name in published_names()}


def test_its_tensors_are_those_of_the_published_file():
    state = outline(NAME).state_dict()
    assert set(state) == {f"encoder.{name}" for name in published_names()}
    # The hub shows a file of 311 MB.
    assert 4 * sum(value.numel() for value in state.values()) / 1e6 == pytest.approx(311, abs=0.5)


def test_the_file_on_the_hub_loads_exactly(random, tmp_path):
    save_file(in_layout(random, ""), tmp_path / "model.safetensors")
    loaded = build(NAME, weights=str(tmp_path / "model.safetensors"))
    assert loaded.provenance["fingerprint"] == fingerprint(random)
    assert (loaded.provenance["tensors"], loaded.provenance["left_out"]) == (161, 0)


@pytest.mark.parametrize(
    ("prefix", "others"),
    [
        ("backbone.", ["projection_head.layers.0.weight"]),
        ("model.backbone.", ["model.projection_head.layers.0.weight"]),
        ("encoder.", ["up_layers.0.upsample.weight", "up_layers.0.head.weight"]),
    ],
    ids=["pre-training", "lightning", "segresnet"],
)
def test_an_encoder_within_a_larger_network_is_found(random, prefix, others):
    state = in_layout(random, prefix) | {name: torch.zeros(2) for name in others}
    translated, left_out = random.translated(state)
    assert left_out == others
    assert translated.keys() == random.state_dict().keys()
    assert all(torch.equal(translated[key], value) for key, value in random.state_dict().items())


def test_features_are_the_average_of_monai_s_last_map(random):
    reference = SegResEncoder(spatial_dims=3, in_channels=1, init_filters=32, blocks_down=BLOCKS).eval()
    reference.load_state_dict(random.encoder.state_dict())
    images = torch.rand(2, 1, 16, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = random(images.clone())
        last = reference(images.clone())[-1]
    assert last.shape == (2, 512, 1, 2, 3)
    assert torch.allclose(features, last.mean((2, 3, 4)), atol=1e-6)


def test_its_input_is_the_model_card_s():
    spec = spec_named(NAME)
    assert all(size % 16 == 0 for size in spec.input.shape)
    hu = torch.tensor([-1100, -1024, 512, 2048, 3000]).view(1, 1, 1, 5)
    hu = hu.to(torch.int16).expand(1, 64, 224, 5).repeat_interleave(45, dim=3)[..., :224]
    row = spec.input.of(hu, spec.windows, (3.0, 1.0, 1.0))[0, 0, 30, 100]
    assert row[[20, 65, 110, 155, 200]].tolist() == pytest.approx([0, 0, 0.5, 1, 1])
