"""What a convolution kernel is for, told from the name its maker gives it."""

from __future__ import annotations

import functools
import re

SOFT = "soft"
BONE = "bone"
UNKNOWN = "unknown"

_BONE_WORDS = re.compile(
    r"bone|edge|lung|sharp|high ?res|\bhr\b|inner ?ear|knochen|oss?eux|\bos\b|hueso|petrous"
    r"|\bfc(3\d|5\d|8\d)|\by[a-e]?\b|\be[bc]\b"
)
"""Words of GE and of descriptions in several languages, Toshiba and Canon (FC30, FC50 on), Philips (Y*, EB, EC)."""

_SOFT_WORDS = re.compile(
    r"stand|\bstd|soft|smooth|brain|detail|weich|cereb|parench|hirn|cerveau|neuro|\bfc(0\d|1\d|2\d|4\d|6\d)|\bu[a-c]\b"
)
_NUMBERED = re.compile(r"\b(?:[bhjtuiq]|[bhqjr][a-z])(\d{2})[a-z]{0,2}\b")
"""Siemens: letter or two for the region, two digits that grow with sharpness, such as H31s, Hr38f, J70h."""

_FIRST_SHARP = 50
_BONE_WINDOW_HU = 1000.0


@functools.lru_cache  # the slices of a series share theirs
def kernel_class(kernel: str, description: str, window_width: float | None) -> str:
    """``soft``, ``bone`` or ``unknown``.

    Args:
        kernel: name of the convolution kernel; it decides where it tells anything.
        description: of the series; asked next.
        window_width: of the window that the images are meant to be shown with, HU; asked last.
    """
    for words in (kernel, description):
        found = _told_by(words.lower())
        if found != UNKNOWN:
            return found
    is_wide = window_width is not None and window_width >= _BONE_WINDOW_HU
    return BONE if is_wide else UNKNOWN


def _told_by(words: str) -> str:
    numbered = _NUMBERED.search(words)
    if numbered:
        return BONE if int(numbered[1]) >= _FIRST_SHARP else SOFT
    if _BONE_WORDS.search(words):
        return BONE
    return SOFT if _SOFT_WORDS.search(words) else UNKNOWN


_CONTRAST = re.compile(r"\b(cta|angio\w*|venogra\w*|post|perfusion|k[mc]|c\+|contrast)(?!\w)|\+ ?c\b")
_NO_CONTRAST = re.compile(r"\b(non?e?|w/?o|without|ohne|sans|sin|pre|nc|nect|ncct|plain|native?)\b|c-(?!\w)")


@functools.lru_cache
def names_contrast(agent: str, description: str) -> bool:
    """Whether a contrast agent was given, by its own field or else by the description of the series."""
    agent, description = agent.lower().strip(), description.lower()
    if agent:
        return not _NO_CONTRAST.search(agent)
    return bool(_CONTRAST.search(description)) and not _NO_CONTRAST.search(description)
