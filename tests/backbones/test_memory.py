"""The registry's figures of memory, measured."""

from dataclasses import replace

import pytest
import torch
from measured_memory import peak_mib

from molre.backbones import BACKBONES, build, spec_named

SHORTER = {
    "dinov3-tiny": {},
    "dinov3-vitb16": {"layers": 2},
    "dinov3-vitl16": {"layers": 2},
    "medgemma-4b": {"layers": 1},
    "medsiglip-448": {"layers": 1},
    # The first two stages have the largest maps; the others only weigh.
    "medimageinsight": {"depths": (1, 1, 1, 1), "embed_dim": (256, 512, 32, 2048), "heads": (8, 16, 1, 64)},
}
"""Settings that leave the highest point of memory where it is: layers come one after the other, and leave nothing."""


def test_every_backbone_of_slices_is_measured():
    assert set(SHORTER) == {name for name, spec in BACKBONES.items() if spec.dims == 2}


@pytest.mark.parametrize("name", SHORTER)
def test_a_chunk_takes_no_more_than_the_registry_says_and_not_much_less(registered, name):
    spec = spec_named(name)
    network = registered(replace(spec, packaged=None), settings=dict(spec.settings) | SHORTER[name])
    backbone = build(network, weights="random")

    def run(hu):
        return backbone(spec.input.of(hu, spec.windows))

    for slices in (1,) if name == "medgemma-4b" else (1, 3):
        hu = torch.randint(-1000, 1000, (slices, 512, 512), dtype=torch.int16)
        peak = peak_mib(lambda hu=hu: run(hu)) / slices
        assert 0.85 * spec.forward_mib <= peak <= spec.forward_mib, f"{peak:.1f} MiB a slice"
