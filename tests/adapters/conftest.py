"""A backbone small enough to try every kind of adapter at every site."""

from dataclasses import replace

import pytest
import torch

from molre.backbones import BACKBONES, SliceInput, register, spec_named


@pytest.fixture(scope="module", autouse=True)
def small_backbone():
    """``dinov3-small``: two blocks of width 48 on 32 px images."""
    spec = replace(
        spec_named("dinov3-tiny"),
        name="dinov3-small",
        width=48,
        input=SliceInput(image_px=32, patch_px=16),
        parameters=75_312,
        packaged=None,
        settings={"hidden": 48, "layers": 2, "heads": 3, "mlp": 96, "readout": "patches"},
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
