"""Memory of activations that a backward pass needs, counted in one forward pass that keeps none of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from molre.backbones import Backbone, SliceInput


def saved_bytes(backbone: Backbone) -> int:
    """Bytes that autograd keeps of one slice (2D) or volume (3D) on its way through an opened backbone.

    What is kept depends on what is trained: of a network opened in its last block alone, little. The pass lets go of
    each tensor once it is counted, so that it takes the memory of a frozen one. In evaluation mode, on the CPU.

    Args:
        backbone: with its adapter, if it has one; nothing before its input is trained.
    """
    if not any(parameter.requires_grad for parameter in backbone.parameters()):
        return 0
    parameter = next(backbone.parameters())
    images = torch.zeros(1, backbone.spec.windows.channels, *_size(backbone), dtype=parameter.dtype)
    weights = {StorageWeakRef(value.untyped_storage()) for value in (*backbone.parameters(), *backbone.buffers())}
    counted: set[StorageWeakRef] = set()  # a weak reference keeps an address from being another tensor's
    total = 0

    def pack(tensor: Tensor) -> None:
        nonlocal total
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference not in weights and reference not in counted:
            counted.add(reference)
            total += storage.nbytes()

    training = backbone.training
    backbone.eval()
    with torch.enable_grad(), saved_tensors_hooks(pack, _gone):
        backbone(images)
    backbone.train(training)
    return total


def _gone(_: None) -> Tensor:
    raise AssertionError("nothing was kept: there is no backward pass")


def _size(backbone: Backbone) -> tuple[int, ...]:
    wanted = backbone.spec.input
    if isinstance(wanted, SliceInput):
        return wanted.image_px, wanted.image_px
    return tuple(wanted.shape)
