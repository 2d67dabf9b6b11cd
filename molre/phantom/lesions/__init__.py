"""The findings a phantom can show, a file a group; importing this room fills the registry."""

from molre.phantom.lesions import (  # noqa: F401
    chronic,
    extracranial,
    hemorrhage,
    ischemia,
    mass,
    postsurgical,
    structural,
    trauma,
)
from molre.phantom.lesions.registry import IMPLIES, LESIONS, Lesion, implied, lesion_named
from molre.phantom.lesions.structural import mark_effects

__all__ = ["IMPLIES", "LESIONS", "Lesion", "implied", "lesion_named", "mark_effects"]
