"""From the labels of public cohorts to the findings: one column may stand for several of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from molre.findings import KEYS, UNKNOWN

SUBDURAL = ("acute_subdural_hematoma", "subacute_chronic_subdural_hematoma", "acute_on_chronic_subdural_hematoma")
"""What a subdural hemorrhage of unknown age may be."""

HEMORRHAGE: dict[str, tuple[str, ...]] = {
    "any": ("intracranial_hemorrhage_any",),
    "intraparenchymal": ("intraparenchymal_hemorrhage",),
    "intraventricular": ("intraventricular_hemorrhage",),
    "subarachnoid": ("subarachnoid_hemorrhage",),
    "epidural": ("epidural_hematoma",),
    "subdural": SUBDURAL,
}
"""The types of hemorrhage that every public cohort labels."""

FRACTURE = tuple(key for key in KEYS if key.endswith("_fracture"))
"""Every finding that is a fracture."""

OTHER_FRACTURE = ("skull_base_fracture", "temporal_bone_fracture", "facial_or_orbital_fracture")
"""Fractures of something else than the calvaria."""


def union(keys: Sequence[str], value: int) -> dict[str, int]:
    """What a label that stands for any of several findings says of each.

    Absent means that every one is absent. Present does not tell which, so that each is unknown, unless there is one
    only.
    """
    known = value if value != 1 or len(keys) == 1 else UNKNOWN
    return dict.fromkeys(keys, known)


def crossed(crosswalk: Mapping[str, Sequence[str]], values: Mapping[str, int]) -> dict[str, int]:
    """Labels by finding from labels by a cohort's own names; a name without a value is unknown."""
    labels: dict[str, int] = {}
    for name, keys in crosswalk.items():
        labels |= union(keys, values.get(name, UNKNOWN))
    return labels


def gathered(present: bool, absent: bool) -> int:
    """A study's label from its slices.

    Args:
        present: whether any slice is positive.
        absent: whether every slice is negative.
    """
    return 1 if present else 0 if absent else UNKNOWN
