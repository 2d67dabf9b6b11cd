"""The findings a phantom can show, a file a group; importing this room fills the registry.

The order of the groups is the order of painting: old tissue first, then what grows and bleeds into it, then bone, and
metal last.
"""

from molre.phantom.lesions import (  # noqa: F401, I001
    chronic,
    scar,
    calcification,
    variant,
    structural,
    malformation,
    ischemia,
    hypoxia,
    artery,
    venous,
    tumour,
    extraaxial,
    midline,
    fossa,
    cyst,
    vascular,
    abscess,
    hemorrhage,
    subarachnoid,
    subdural,
    extradural,
    herniation,
    trauma,
    fracture,
    basilar,
    midface,
    sinus,
    orbit,
    bone,
    skullvariant,
    scalp,
    pneumocephalus,
    foreign,
    surgery,
    device,
)
from molre.phantom.lesions.effects import mark_effects
from molre.phantom.lesions.registry import LESIONS, LOOKALIKES, Lesion

__all__ = ["LESIONS", "LOOKALIKES", "Lesion", "mark_effects"]
