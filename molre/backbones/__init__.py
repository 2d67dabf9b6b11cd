"""The networks that turn slices or volumes into features: a registry, and one file a model family."""

from molre.backbones.backbone import Backbone, BackboneSpec, StateDict
from molre.backbones.inputs import SliceInput, VolumeInput
from molre.backbones.registry import BACKBONES, build, outline, register, spec_named
from molre.backbones.weights import fingerprint

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneSpec",
    "SliceInput",
    "StateDict",
    "VolumeInput",
    "build",
    "fingerprint",
    "outline",
    "register",
    "spec_named",
]
