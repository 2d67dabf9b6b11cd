"""The networks that turn slices into features: a registry, and one file a model family."""

from molre.backbones.backbone import Backbone, BackboneSpec
from molre.backbones.registry import BACKBONES, build, register, spec_named
from molre.backbones.weights import fingerprint

__all__ = ["BACKBONES", "Backbone", "BackboneSpec", "build", "fingerprint", "register", "spec_named"]
