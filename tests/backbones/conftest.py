"""How the backbones' tests run, and families in a size that is built in milliseconds."""

from dataclasses import replace

import pytest
import torch

from molre.backbones import BACKBONES, SliceInput, outline, register, spec_named


@pytest.fixture(autouse=True)
def one_thread():
    """Networks of this size lose more to handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SMALL = {
    "medgemma-4b": {
        "width": 48,
        "input": SliceInput(image_px=56, patch_px=14, most_slices=85),
        "settings": {"hidden": 48, "layers": 2, "heads": 4, "mlp": 80, "head": False},
    },
    "medsiglip-448": {
        "width": 48,
        "input": SliceInput(image_px=56, patch_px=14, most_slices=85),
        "settings": {"hidden": 48, "layers": 2, "heads": 4, "mlp": 80, "head": True},
    },
    "medimageinsight": {
        "width": 128,
        "input": SliceInput(image_px=96, patch_px=32, interpolation="bicubic"),
        "settings": {"embed_dim": (16, 32, 64, 128), "depths": (1, 1, 9, 1), "heads": (1, 2, 4, 8)},
    },
}
"""What is smaller in a small network of each family."""


@pytest.fixture
def registered():
    """Registers an entry under a name of its own, with the size that its network has, until the test is over."""
    added = []

    def registering(spec, **changes):
        changed = replace(spec, **({"name": f"{spec.name}-small"} | changes))
        register(changed)
        added.append(changed.name)
        parameters = sum(parameter.numel() for parameter in outline(changed.name).parameters())
        BACKBONES[changed.name] = replace(changed, parameters=parameters)
        return changed.name

    yield registering
    for name in added:
        del BACKBONES[name]


@pytest.fixture
def small(registered):
    """Registers a small network of the same family as a backbone, and returns its name."""
    return lambda name, **changes: registered(spec_named(name), **(SMALL[name] | changes))
