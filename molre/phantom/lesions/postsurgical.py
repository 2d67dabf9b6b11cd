"""What surgeons leave: openings in the vault, tubes, clips, probes."""

from __future__ import annotations

import numpy as np

from molre.phantom.case import Case, Paint
from molre.phantom.head import Head
from molre.phantom.lesions.registry import any_side, lesion, pick
from molre.phantom.lesions.trauma import vault_frame, vault_place
from molre.phantom.shapes import Point, capsule, ramp
from molre.phantom.template import CENTRE_MM

METAL_HU = 3000.0


@lesion("craniotomy_or_cranioplasty", slot="vault")
def craniotomy(case: Case) -> Paint:
    """A bone flap cut out and put back: narrow gaps, small plates of metal.

    Sinclair and Scoffings 2010, Radiographics 30:461.
    """
    rng, body = case.rng, case.body
    towards, size = vault_place(rng), float(rng.uniform(24, 34))

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.skull < 1) & (head.skull > -13) & (head.z > -25))
        along, up, cosine = vault_frame(head, index, towards)
        radius = np.maximum(np.abs(along), np.abs(up) * 1.1) + 0.15 * np.hypot(along, up)
        cut = np.where(cosine > 0.2, 1.7 - np.abs(radius - size), -9).astype(np.float32)
        head.paint(index, ramp(cut) * head.bone[index], 30.0, "muscle", ["craniotomy_or_cranioplasty"])
        shell = np.float32(head.body.skull_mm) + head.skull[index]
        plate = np.minimum.reduce(
            [7 - np.abs(radius - size), 2.2 - np.abs(along - 0.45 * up), 1.2 - np.abs(shell + 1.0)]
        )
        plate = np.where(cosine > 0.2, plate, -9).astype(np.float32)
        head.paint(index, ramp(plate), METAL_HU, "metal", ["craniotomy_or_cranioplasty"])

    return paint


@lesion("craniectomy_or_burr_hole", slot="vault")
def craniectomy(case: Case) -> Paint:
    """Vault missing over a wide window, or round holes of 12-15 mm.

    Sinclair and Scoffings 2010, Radiographics 30:461.
    """
    rng, body = case.rng, case.body
    holes = rng.random() < 0.45
    places = [vault_place(rng) for _ in range(2)] if holes else [vault_place(rng)]
    size = float(rng.uniform(6.5, 8.5)) if holes else float(rng.uniform(26, 42))

    def paint(head: Head) -> None:
        index = np.flatnonzero((head.skull < 0.6) & head.bone & (head.z > -25))
        for towards in places:
            along, up, cosine = vault_frame(head, index, towards)
            depth = np.where(cosine > 0.1, size - np.hypot(along, up), -9).astype(np.float32)
            head.paint(index, ramp(depth), 38.0, "muscle", ["craniectomy_or_burr_hole"])
            head.bone[index[depth > 0]] = False

    return paint


@lesion("ventricular_shunt_or_drain")
def shunt(case: Case) -> Paint:
    """A catheter through the vault with its tip in the frontal horn (Wallace et al. 2014, AJR 202:W1)."""
    rng, body = case.rng, case.body
    sign = any_side(rng)[1]
    behind = rng.random() < 0.5
    entry: Point = (sign * 48.0, 62.0, 34.0) if behind else (sign * 34.0, -52.0, 68.0)
    tip: Point = (sign * 6.0, -32.0, 9.0)
    hu, radius = float(rng.uniform(350, 900)), float(rng.uniform(1.4, 1.9))
    body.ventricle_mm = [each + 0.6 for each in body.ventricle_mm]

    def paint(head: Head) -> None:
        depth = capsule((head.x, head.y, head.z), tip, (entry[0] * 1.25, entry[1] * 1.25, entry[2] * 1.25), radius)
        index = np.flatnonzero((depth > -1) & (head.skin > 0.5))
        head.paint(index, ramp(depth[index]), hu, "device", ["ventricular_shunt_or_drain"])

    return paint


@lesion("aneurysm_clip_coil_or_embolization")
def coil(case: Case) -> Paint:
    """Metal in the basal cisterns with streaks from it (Katsura et al. 2018, Radiographics 38:450)."""
    rng, body = case.rng, case.body
    sign = any_side(rng)[1]
    places: tuple[Point, ...] = ((0.0, -26.0, -17.0), (sign * 28.0, -20.0, -14.0), (sign * 8.0, -10.0, -22.0))
    centre, radius = places[int(rng.integers(3))], float(rng.uniform(3.0, 6.0))
    rays, phase = int(rng.integers(5, 9)), float(rng.uniform(0, np.pi))

    def paint(head: Head) -> None:
        near = np.flatnonzero((np.abs(head.z - centre[2]) < radius + 2) & (head.skull > 0))
        dx, dy = head.x[near] - centre[0], head.y[near] - centre[1]
        reach = np.hypot(dx, dy)
        streak = np.cos(rays * np.arctan2(dy, dx) + phase) * 340 / (reach + 7) * (reach < 70)
        head.hu[near] += streak.astype(np.float32)
        index, depth = head.ball(centre, radius, rough=0.15)
        head.paint(index, ramp(depth), METAL_HU, "metal", ["aneurysm_clip_coil_or_embolization"])

    return paint


@lesion("implanted_electrode_or_icp_monitor")
def electrode(case: Case) -> Paint:
    """Thin metal leads to the subthalamic nuclei, or a probe a few centimetres into a frontal lobe.

    Saleh et al. 2016, Neuroradiol J 29:1.
    """
    rng, body = case.rng, case.body
    probe = rng.random() < 0.4
    sign = any_side(rng)[1]
    leads: list[tuple[Point, Point]] = [((s * 12.0, 2.0, -6.0), (s * 42.0, -52.0, 92.0)) for s in (1, -1)]
    if probe:
        leads = [((sign * 26.0, -44.0, 30.0), (sign * 36.0, -58.0, 90.0))]

    def paint(head: Head) -> None:
        for tip, entry in leads:
            depth = capsule((head.x, head.y, head.z), tip, entry, 1.3)
            index = np.flatnonzero((depth > -1) & (head.skin > 0.5))
            head.paint(index, ramp(depth[index]), METAL_HU * 0.8, "metal", ["implanted_electrode_or_icp_monitor"])

    return paint


@lesion("resection_cavity_or_postsurgical_change", slot="mass")
def cavity(case: Case) -> Paint:
    """A sharp pool of fluid in place of a piece of lobe, reaching the surface.

    Sinclair and Scoffings 2010, Radiographics 30:461.
    """
    rng, body = case.rng, case.body
    centre = pick(rng, (26, -62, 2), (58, 58, 44), (8, 16))
    radius = float(rng.uniform(11, 19))
    outward = np.subtract(centre, CENTRE_MM)
    x, y, z = (float(c) for c in np.asarray(centre) + 14 * outward / np.linalg.norm(outward))

    def paint(head: Head) -> None:
        index, depth = head.ball(centre, radius, stretch=(1, 1.1, 0.9), rough=0.1)
        inside = head.skull[index] > 0.5
        head.paint(index, ramp(depth + 2.5, 3.0) * inside, 20.0, "scar")
        neck = capsule((head.x[index], head.y[index], head.z[index]), centre, (x, y, z), radius * 0.6)
        head.paint(
            index,
            ramp(np.maximum(depth, neck)) * inside,
            head.body.csf_hu + 2,
            "cyst",
            ["resection_cavity_or_postsurgical_change"],
        )

    return paint
