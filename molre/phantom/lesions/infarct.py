"""An infarct of an arterial territory: where it lies, how it is painted from its first hours to its scar.

To draw an infarct, or to find the one that another lesion of the study has drawn::

    infarct = fresh_infarct(case)  # before tissue is laid out; kept in case.body.infarct
    index, depth_mm = infarct_depth(head, infarct)  # voxels nearby and their depth in it, negative outside
    closed = close_furrows(head, infarct, share=0.6)  # swelling, before it darkens
    darken(head, infarct, hu=21.0, amount=0.8, keys=["acute_infarct"])
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float32, Float64

from molre.phantom.body import LEFT, RIGHT, Body
from molre.phantom.case import Case
from molre.phantom.head import Head
from molre.phantom.lesions.territory import TERRITORIES, Territory
from molre.phantom.ripple import draw_ripple
from molre.phantom.shapes import Coordinates, Field, Number, ramp
from molre.phantom.stroke import Infarct
from molre.phantom.table import entries
from molre.phantom.tissue import T

LEAST_MM = 9.0
"""Extent below which an infarct of an artery's territory is not drawn."""


def infarct_depth(head: Head, infarct: Infarct, beyond_mm: Number = 6.0) -> tuple[np.ndarray, Float32[np.ndarray, "m"]]:
    """Indices of voxels down to ``beyond_mm`` outside an infarct, and their depth in it in mm, negative outside."""
    territory = TERRITORIES[infarct.territory]
    index = _near(head, infarct, territory)
    at = (head.x[index] * np.float32(infarct.sign), head.y[index], head.z[index])
    bend = np.float32(min(2.1, 0.08 * infarct.extent_mm))
    depth = np.minimum(territory.inside(at), _reach(at, infarct, territory)) + bend * infarct.ripple(at)
    depth += head.noise[index]
    # However its margin is bent, an infarct does not cross the midline.
    depth = np.minimum(depth, at[0] * np.float32(2) - 1)
    close = depth > -beyond_mm
    return index[close], depth[close].astype(np.float32)


def _near(head: Head, infarct: Infarct, territory: Territory) -> np.ndarray:
    where = (head.skull > 0) & head.side(infarct.side)
    if territory.region == "forebrain":
        where &= (head.z > -40) & ~head.at("brainstem", "cerebellum", "tentorium")
    else:
        where &= (head.z < 0) & head.at(territory.region)
    return np.flatnonzero(where)


def _reach(at: Coordinates, infarct: Infarct, territory: Territory) -> Field:
    """Depth inside the wedge about the line from the artery's stem to the middle, or inside the ball."""
    if infarct.extent_mm >= territory.widest_mm:
        return np.full_like(at[0], 60)
    if not territory.wedge:
        offset = [a - np.float32(c) for a, c in zip(at, infarct.middle, strict=True)]
        return np.float32(infarct.extent_mm / 2) - np.sqrt(sum(o * o for o in offset))
    axis = np.subtract(infarct.middle, territory.stem)
    length = float(np.linalg.norm(axis))
    offset = [a - np.float32(c) for a, c in zip(at, territory.stem, strict=True)]
    far = np.sqrt(sum(o * o for o in offset)) + np.float32(1e-3)
    along = sum(o * np.float32(a / length) for o, a in zip(offset, axis, strict=True)) / far
    # Branches of small infarcts leave the artery late, so that their tip lies under the cortex.
    tip = far - max(0.0, 0.75 * length - infarct.extent_mm)
    half = min(infarct.extent_mm / 2 / length, np.pi)
    return np.minimum((half - np.arccos(np.clip(along, -1, 1))) * np.minimum(far, length), tip)


def draw_infarct(rng: np.random.Generator, side: int, territory: str, extent_mm: float) -> Infarct:
    """An infarct of a territory, anywhere within it."""
    told = TERRITORIES[territory]
    middle = rng.uniform(told.low, told.high)
    return Infarct(territory=territory, side=side, middle=(float(middle[0]), float(middle[1]), float(middle[2])),
                   extent_mm=min(float(extent_mm), float(told.widest_mm)), ripple=draw_ripple(rng, 14, 42))  # fmt: skip


def stroke_of(body: Body) -> tuple[str, int]:
    """Territory and side of the vessel that is occluded in this person: the same for all that a stroke brings about."""
    rng = np.random.default_rng(body.stroke_seed)
    return _territory(rng), LEFT if rng.random() < 0.5 else RIGHT


def _territory(rng: np.random.Generator) -> str:
    names, shares = _places()
    return names[rng.choice(len(names), p=shares)]


@cache
def _places() -> tuple[list[str], Float64[np.ndarray, "n"]]:
    places = entries()["acute_infarct"].places
    weights = np.array(list(places.values()))
    return list(places), weights / weights.sum()


def proportionate_mm(case: Case) -> float:
    """Extent by severity of an infarct in the territory of this person's stroke."""
    return _extent_mm(case, stroke_of(case.body)[0])


def _extent_mm(case: Case, territory: str) -> float:
    share = case.size_mm() / case.entry.size_mm[2]
    return max(LEAST_MM, share * 1.05 * TERRITORIES[territory].widest_mm)


def old_infarct(case: Case) -> Infarct:
    """An infarct of years ago: on the side that this person's fresh stroke spares, anywhere in a place of the table."""
    territory = case.place()
    side = RIGHT if stroke_of(case.body)[1] == LEFT else LEFT
    return draw_infarct(case.rng, side, territory, _extent_mm(case, territory))


def fresh_infarct(case: Case, extent_mm: float | None = None) -> Infarct:
    """The study's infarct of hours to weeks: the one another lesion has chosen, or one chosen here.

    Args:
        case: the lesion that asks; its body keeps the infarct for the next one.
        extent_mm: along the cortex; by default by the case's severity from the table's entry of the acute infarct.
    """
    if case.body.infarct is None:
        territory, side = stroke_of(case.body)
        if extent_mm is None:
            size_mm = entries()["acute_infarct"].size_mm
            share = float(np.interp(case.severity, (0, 0.5, 1), size_mm)) / size_mm[2]
            extent_mm = max(LEAST_MM, share * TERRITORIES[territory].widest_mm)
        case.body.infarct = draw_infarct(case.rng, side, territory, extent_mm)
    return case.body.infarct


def darken(head: Head, infarct: Infarct, hu: float, amount: float, keys: list[str], soft_mm: float = 4.0) -> np.ndarray:
    """Draw grey and white matter of an infarct towards one density.

    Args:
        head: to paint.
        infarct: where.
        hu: density of fully infarcted tissue.
        amount: 0 nothing to 1 all of ``hu``.
        keys: findings to mark.
        soft_mm: width of the margin.

    Returns:
        Indices of the voxels marked.
    """
    index, depth = infarct_depth(head, infarct)
    weight = ramp(depth, soft_mm)
    brain = head.tissue_is("grey", "white")[index]
    index, weight = index[brain], weight[brain]
    head.hu[index] += (np.float32(hu) + head.noise[index] - head.hu[index]) * weight * np.float32(amount)
    most = index[weight >= 0.5]
    head.tissue[most] = T["infarct"]
    head.mark(most, keys)
    return most


def close_furrows(head: Head, infarct: Infarct, share: float) -> np.ndarray:
    """Let swollen gyri over an infarct push a share of the fluid out of the furrows between them.

    Returns:
        Indices of voxels of the furrows that are mostly closed.
    """
    index, depth = infarct_depth(head, infarct)
    fluid = head.tissue_is("csf", "grey")[index] & (head.skull[index] < 26) & (head.inner[index] > 1.5)
    fluid &= ~head.ventricular[index] & ~head.at("midline")[index]
    index, weight = index[fluid], ramp(depth[fluid], 8.0) * np.float32(share)
    lacking = np.maximum(np.float32(head.body.grey_hu - 2) - head.hu[index], 0)
    head.hu[index] += lacking * weight
    shut = index[(weight >= 0.5) & (lacking > 6)]
    head.tissue[shut] = T["grey"]
    return shut
