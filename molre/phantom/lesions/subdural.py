"""Blood and fluid between dura and arachnoid: crescents that cross sutures and end at the falx.

Clot measures 50-70 HU and loses about 1.5 HU a day, so that it is isodense after one to three weeks (Bergstroem et al.
1977, J Comput Assist Tomogr 1:57; Scotti et al. 1977, J Neurosurg 47:311).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from molre.phantom.body import LEFT, RIGHT, Body
from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import bulk, lesion
from molre.phantom.motion import Layer, Sheet, depth_in
from molre.phantom.shapes import Point, ramp

Depth = Float32[np.ndarray, "m"]


def crescent(case: Case, thickness_mm: float, side: int, towards: Point | None = None) -> Layer:
    """A crescent under the vault of a hemisphere, the wider the plainer."""
    sign = -1 if side == RIGHT else 1
    if towards is None:
        towards = (sign * 1.0, case.uniform(-0.55, 0.5), case.uniform(0.1, 0.65))
    wide = case.graded(0.7, 1.0)
    front, back, top, base = (case.uniform(0.75, 1.45) * wide for _ in range(4))
    return Layer(towards=towards, reach_rad=(front, back, min(top, 1.1), min(base, 1.0)), thickness_mm=thickness_mm,
                 power=case.uniform(2.2, 4.0), side=sign,
                 ripple=(case.uniform(0.02, 0.14), case.uniform(2.5, 6), case.uniform(0, 6)))  # fmt: skip


def collection(head: Head, layer: Layer) -> tuple[np.ndarray, Depth]:
    """Voxels in and near a layer, and their depth in it from the brain's side, mm."""
    shell = (head.inner > -0.4) & (head.inner < 1.35 * layer.thickness_mm + 2)
    if layer.side:
        shell &= head.still[0] * layer.side > 0
    index = np.flatnonzero(shell)
    depth = depth_in(layer, np.stack([a[index] for a in head.still]))
    thick = depth > -2
    # Where a layer tapers to less than a millimetre it is nothing but the dura.
    return index[thick], np.minimum(depth[thick], 2.5 * (head.inner[index[thick]] + 0.7)).astype(np.float32)


def press(case: Case, layers: list[Layer], stiffness_mm: float) -> None:
    """Let the brain recede beneath layers and close its furrows; layers on both sides hold the midline."""
    body = case.body
    load = [0.0, 0.0]
    for layer in layers:
        body.press(layer)
        breadth = min(float(np.mean(layer.reach_rad)) / 0.95, 1.15)
        load[LEFT if layer.side > 0 else RIGHT] += layer.thickness_mm * breadth / stiffness_mm
    body.gap_mm *= 0.5
    main = int(np.argmax(load))
    if min(load) > 0:
        body.efface(1 - main, min(load[1 - main], 1.0))
        if min(load) > 0.35:
            body.claims |= {"mass_effect", "sulcal_or_cisternal_effacement"}
        bulk(case.rng, body, main, max(load) - 0.75 * min(load))
    else:
        bulk(case.rng, body, main, load[main])


@lesion("acute_subdural_hematoma", slot="collection")
def acute(case: Case) -> Paint:
    """A bright crescent over a hemisphere, or a bright band along falx or tentorium."""
    place, hu, (side, _) = case.place(), case.hu(), case.side()
    thickness = case.size_mm()
    mottle = case.uniform(14, 26) if case.chance(0.25) else case.uniform(1, 4)
    painters = []
    if place == "convexity":
        layer = crescent(case, thickness, side)
        press(case, [layer], 14.5)
        painters.append(lambda head: collection(head, layer))
    thin = min(thickness if place != "convexity" else 0.4 * thickness, 7.0)
    spreads = place == "convexity" and thickness > 6
    if place == "falx" or (spreads and case.chance(0.35)):
        sheet = _along_falx(case, thin, side)
        painters.append(lambda head: beside_falx(head, sheet))
    if place == "tentorium" or (spreads and case.chance(0.25)):
        painters.append(lambda head: on_tentorium(head, side, min(thin, 4.5)))

    def paint(head: Head) -> None:
        for where in painters:
            index, depth = where(head)
            # Serum that is not yet clotted leaves darker pools.
            value = hu + 2.0 * head.noise[index] - mottle * np.clip(head.noise[index] - 0.4, 0, 1)
            head.paint(index, ramp(depth), value.astype(np.float32), "acute_blood", ["acute_subdural_hematoma"])

    return paint


def _along_falx(case: Case, thickness_mm: float, side: int) -> Sheet:
    front = case.uniform(-75, 15)
    sheet = Sheet(side=-1 if side == RIGHT else 1, thickness_mm=max(thickness_mm, 2.6), front_mm=front,
                  back_mm=min(front + case.uniform(55, 120), 86.0))  # fmt: skip
    case.body.press(sheet)
    return sheet


def beside_falx(head: Head, sheet: Sheet) -> tuple[np.ndarray, Depth]:
    """Voxels beside the falx and their depth in a sheet of blood, mm."""
    x, _, z = head.still
    index = np.flatnonzero((head.inner > 0) & (np.abs(x) < sheet.thickness_mm + 2) & (z > -16))
    thick = sheet.thickness(np.stack([a[index] for a in head.still]))
    across = x[index] * sheet.side
    depth = np.minimum(thick * (1 + np.float32(0.15) * head.noise[index]) - across, across + np.float32(0.8))
    return index, np.where(thick > 0.8, depth, -5).astype(np.float32)


def on_tentorium(head: Head, side: int, thickness_mm: float) -> tuple[np.ndarray, Depth]:
    """Voxels above the tentorium of a side and their depth in a sheet of blood, mm."""
    leaf = np.flatnonzero(head.at("tentorium") & head.side(side) & (head.skull > 0))
    height, held = _leaf_height(head, leaf)
    near = np.flatnonzero(head.side(side) & (head.skull > 0) & (head.z > -45) & (head.z < 8) & ~head.at("brainstem"))
    at = _squares(head, near)
    margin = ndimage.map_coordinates(held, at, order=1)
    near, at, margin = near[margin > 0.05], at[:, margin > 0.05], margin[margin > 0.05]
    above = head.z[near] - ndimage.map_coordinates(height, at, order=1)
    # The sheet thins towards the edges of the tentorium.
    thick = np.float32(thickness_mm) * np.clip(2 * margin - 0.4, 0, 1) * (1 + np.float32(0.25) * head.noise[near])
    return near, np.where(thick > 0.5, np.minimum(thick - above, above + 1.2), -5).astype(np.float32)


_CELL_MM, _ROWS, _COLUMNS = 3.0, 60, 40


def _squares(head: Head, index: np.ndarray) -> np.ndarray:
    return np.stack([(head.y[index] + 60) / _CELL_MM, np.abs(head.x[index]) / _CELL_MM])


def _leaf_height(head: Head, leaf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the tentorium above each square of the axial plane, and the share of its surroundings it covers."""
    at = np.clip(_squares(head, leaf) + 0.5, 0, np.array([[_ROWS - 1], [_COLUMNS - 1]])).astype(int)
    flat = at[0] * _COLUMNS + at[1]
    count = np.bincount(flat, minlength=_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS).astype(np.float64)
    total = np.bincount(flat, head.z[leaf], _ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
    soft = [ndimage.gaussian_filter(each, 1.3) for each in (count, total, (count > 0).astype(np.float64))]
    return soft[1] / np.maximum(soft[0], 1e-6), soft[2]


@lesion("subacute_chronic_subdural_hematoma", slot="collection")
def chronic(case: Case) -> Paint:
    """A crescent as dense as brain or darker, with levels or membranes in some, on both sides in every fourth."""
    key = "subacute_chronic_subdural_hematoma"
    kind, thickness, (side, _) = case.kind(), case.size_mm(), case.side()
    low, high = case.entry.hu
    share = case.uniform(0.65, 0.95) if kind == "isodense" else case.uniform(0.0, 0.45)
    hu, level = low + (high - low) * share, case.uniform(-10, 25)
    layers = [crescent(case, thickness, side)]
    if case.chance(0.25):
        layers.append(crescent(case, thickness * case.uniform(0.5, 0.9), 1 - side))
    press(case, layers, 19.0)
    dense, walls = case.uniform(14, 22), case.uniform(7, 13)

    def paint(head: Head) -> None:
        for layer in layers:
            index, depth = collection(head, layer)
            value = hu + 1.5 * head.noise[index]
            if kind == "layered":
                below = head.still[1][index] - level + 2 * head.noise[index]
                value = value + dense * ramp(below.astype(np.float32), 8.0)
            if kind == "membranes":
                value = value + 16 * _walls(head, index, walls)
            # The inner membrane is a little denser than what it holds.
            value = value + 5 * np.exp(-(((depth - 1) / 1.2) ** 2))
            head.paint(index, ramp(depth), value.astype(np.float32), "old_blood", [key])

    return paint


def _walls(head: Head, index: np.ndarray, spacing_mm: float) -> Depth:
    """Thin walls across a collection, bent by noise."""
    y, z = head.still[1][index], head.still[2][index]
    phase = (y + 0.6 * z + 5 * head.noise[index]) / np.float32(spacing_mm) * np.float32(np.pi)
    return np.clip(1 - np.abs(np.sin(phase)) * 3.5, 0, 1).astype(np.float32)


@lesion("acute_on_chronic_subdural_hematoma", slot="collection")
def mixed(case: Case) -> Paint:
    """Fresh blood in a chronic crescent: settled to a level, in clots, or in chambers between membranes."""
    key = "acute_on_chronic_subdural_hematoma"
    kind, thickness, (side, _) = case.kind(), case.size_mm(), case.side()
    old, fresh = case.entry.hu[0] + case.uniform(0, 8), case.entry.hu[1] - case.uniform(0, 14)
    layer = crescent(case, thickness, side)
    press(case, [layer], 17.5)
    amount, walls, seed = case.graded(0.2, 0.6), case.uniform(12, 20), case.uniform(0, 9)

    def paint(head: Head) -> None:
        index, depth = collection(head, layer)
        y, noise = head.still[1][index], head.noise[index]
        if kind == "level":
            share = ramp((y - np.quantile(y, 1 - amount) + 3 * noise).astype(np.float32), 7.0)
        elif kind == "clots":
            wave = np.sin(y / 9 + seed) * np.cos(head.still[2][index] / 8 + seed) + 0.55 * noise
            share = ramp((wave - np.quantile(wave, 1 - amount)).astype(np.float32), 0.4)
        else:
            chamber = np.floor((y + 0.5 * head.still[2][index] + 4 * noise) / walls + seed)
            share = (np.sin(chamber * 12.9898) > 1 - 2 * amount).astype(np.float32)
        value = old + (fresh - old) * share + 2 * noise
        marked = head.paint(index, ramp(depth), value.astype(np.float32), "old_blood", [key])
        head.paint(marked, (head.hu[marked] > 40).astype(np.float32), head.hu[marked], "acute_blood")

    return paint


@lesion("extra_axial_collection_or_hygroma", slot="collection")
def hygroma(case: Case) -> Paint:
    """Fluid as dark as that of the ventricles beneath the frontal vault, mostly on both sides."""
    thickness, hu, (side, _) = case.size_mm(), case.hu(), case.side()
    both = case.kind() == "both_sides"
    layers = []
    for each in (side, 1 - side) if both else (side,):
        sign = -1 if each == RIGHT else 1
        towards = (sign * case.uniform(0.5, 1.0), case.uniform(-0.9, -0.4), case.uniform(0.25, 0.6))
        layers.append(crescent(case, thickness * case.uniform(0.75, 1.0), each, towards))
    _settle_fluid(case.body, layers)
    if not both:
        bulk(case.rng, case.body, side, thickness / 26)

    def paint(head: Head) -> None:
        for layer in layers:
            index, depth = collection(head, layer)
            value = hu + 0.5 * head.noise[index]
            head.paint(index, ramp(depth), value.astype(np.float32), "csf", ["extra_axial_collection_or_hygroma"])

    return paint


def _settle_fluid(body: Body, layers: list[Layer]) -> None:
    for layer in layers:
        body.press(layer)
        body.sulcus_mm[LEFT if layer.side > 0 else RIGHT] -= 0.3
    body.gap_mm *= 0.5
