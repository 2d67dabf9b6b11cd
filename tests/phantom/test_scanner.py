"""What a scanner does to a head: blur, noise and streaks as its table says, and nothing that tells a finding."""

import dataclasses
import threading
from functools import cache

import numpy as np
import pytest
from scipy import fft

from molre.dicom.kernels import kernel_class
from molre.errors import ConfigError
from molre.phantom import CohortConfig, make_study
from molre.phantom.geometry import Geometry
from molre.phantom.protocol import Kernel, draw_protocol, scanners
from molre.phantom.scanner import motion as moving
from molre.phantom.scanner import noise, projection
from molre.phantom.scanner.hardening import bone_of, hardened
from molre.phantom.scanner.kernel import noise_power, response
from molre.phantom.scanner.metal import add_streaks
from molre.phantom.scanner.thickness import SOFT_EDGE, _weights, profile

STANDARD = scanners()["ge_sequential"].soft
PIXEL_MM = 0.488
CLIP = "aneurysm_clip_coil_or_embolization"


def flat(count, pixel_mm=PIXEL_MM, matrix_px=256, step_mm=5.0, thickness_mm=5.0, fine=4):
    """Slices with nothing in them."""
    heights = step_mm * np.arange(count, dtype=float)
    return Geometry(tilt_deg=0.0, positions_mm=np.stack([heights * 0, heights * 0, heights], 1),
                    thickness_mm=np.full(count, thickness_mm), step_mm=np.full(count, step_mm), matrix_px=matrix_px,
                    pixel_mm=pixel_mm, fine=fine)  # fmt: skip


def grain(kernel=STANDARD, count=12, spiral=False, seed=0, **geometry):
    parts = noise.textures(kernel, flat(count, **geometry), spiral, np.random.default_rng(seed))
    return np.concatenate([part for _, _, part in parts])


def power(images, pixel_mm=PIXEL_MM):
    """Radial mean of the power spectrum, HU² mm², by whole steps of frequency."""
    size = images.shape[-1]
    spectrum = (np.abs(np.fft.fft2(images)) ** 2).mean(0) * pixel_mm**2 / size**2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size, pixel_mm)] * 2))
    step = np.rint(frequency * size * pixel_mm).astype(int).ravel()
    return np.bincount(step, spectrum.ravel()) / np.bincount(step)


@cache
def study(scanner, *keys, index=3, **config):
    settings = {"seed": 9, "matrix_px": 96, "scanners": (scanner,), "motion_fraction": 0.0, **config}
    return make_study(CohortConfig(**settings), index, force=keys, age_years=60.0)


@pytest.mark.parametrize("name", scanners())
def test_every_line_of_the_table_is_synthetic_and_has_kernels_that_are_told_apart(name):
    scanner = scanners()[name]
    assert scanner.model.startswith("Synthetic")
    assert kernel_class(scanner.soft.name, "", None) == "soft"
    assert kernel_class(scanner.bone.name, "", None) == "bone"
    frequency = np.linspace(0, 2, 200)
    soft, bone = (response(kernel, frequency) for kernel in (scanner.soft, scanner.bone))
    assert soft[0] == bone[0] == 1
    assert np.all(soft[frequency >= scanner.soft.cutoff_per_mm] < 1e-9)
    assert np.all(bone[1:] >= soft[1:])
    assert bone.max() > 1.1


def test_a_scanner_that_is_not_in_the_table_is_refused():
    with pytest.raises(ConfigError, match="choose from ge_sequential"):
        draw_protocol(np.random.default_rng(0), CohortConfig(scanners=("abacus",)))
    with pytest.raises(ConfigError, match="thickness_mm"):
        CohortConfig(thickness_mm=(5.0, 4.0))


def test_noise_has_the_ramp_and_the_end_of_the_real_head_s_spectrum():
    """Of the real head at 7 mm and 320 mAs, in HU² mm²: 6.75 at 0.38, 4.19 at 0.51, 1.57 at 0.64, 0.34 at 0.77."""
    level = noise.LEVEL_HU2_MM3 / (7 * 320)
    found = level * power(grain(count=24))
    step = 1 / (256 * PIXEL_MM)
    for frequency, real in ((0.38, 6.75), (0.51, 4.19), (0.64, 1.57), (0.77, 0.34)):
        near = round(frequency / step)
        assert found[near - 3 : near + 4].mean() == pytest.approx(real, rel=0.25)
    assert found[0] < 1e-6
    assert found[8] == pytest.approx(level * 8 * step, rel=0.2)
    assert np.sqrt(level) * grain(count=24).std() == pytest.approx(2.66, rel=0.05)


def test_noise_in_large_pixels_is_the_mean_of_that_in_small_ones():
    fine = grain(count=24, pixel_mm=0.4, matrix_px=480)
    coarse = grain(count=24, pixel_mm=1.6, matrix_px=120)
    blocks = fine.reshape(24, 120, 4, 120, 4).mean((2, 4))
    assert coarse.std() == pytest.approx(blocks.std(), rel=0.05)


def test_kernels_share_their_photons_and_sharp_ones_show_more_noise():
    bone = scanners()["ge_sequential"].bone
    soft, sharp = grain(), grain(bone)
    assert sharp.std() > 2 * soft.std()
    assert np.corrcoef(soft.ravel(), sharp.ravel())[0, 1] > 0.5
    assert np.argmax(noise_power(bone, np.linspace(0, 1, 50))) > np.argmax(noise_power(STANDARD, np.linspace(0, 1, 50)))


@pytest.mark.parametrize("spiral", [False, True])
def test_neighbouring_slices_share_noise_in_spirals_only(spiral):
    images = grain(count=30, spiral=spiral, matrix_px=64)
    shared = np.mean(images[1:] * images[:-1]) / images.var()
    assert shared == pytest.approx(0.147 if spiral else 0.0, abs=0.03)
    assert images.std() == pytest.approx(grain(count=30, matrix_px=64).std(), rel=0.03)


def test_noise_falls_with_dose_and_thickness_and_grows_behind_bone():
    protocol = draw_protocol(np.random.default_rng(0), CohortConfig(scanners=("ge_sequential",)))
    usual, thin = (noise.level_hu2_mm3(protocol, flat(2, thickness_mm=mm)) for mm in (5.0, 2.5))
    more = noise.level_hu2_mm3(dataclasses.replace(protocol, mas=2 * protocol.mas), flat(2))
    assert thin == pytest.approx(2 * usual)
    assert more == pytest.approx(usual / 2)
    head = np.full((64, 64, 2), -1000, np.float32)
    head[12:52, 16:48] = 35
    head[28:34, 16:26, 1] = head[28:34, 38:48, 1] = 1200
    losses = noise.lost(head, 4.0)
    assert losses[31, 32, 1] > 1.3 * losses[31, 32, 0]
    assert losses[31, 32, 0] > 1.5 * losses[2, 32, 0]


def test_noise_of_a_study_is_the_same_whatever_it_shows():
    """Differences between two kernels' images of one scan are photons; slices without metal have the same."""
    ill, healthy = study("ge_sequential", CLIP), study("ge_sequential")
    assert ill.scan.protocol == healthy.scan.protocol
    assert ill.scan.sent == healthy.scan.sent
    for field in dataclasses.fields(Geometry):
        assert np.array_equal(getattr(ill.geometry, field.name), getattr(healthy.geometry, field.name))
    assert np.array_equal(ill.hu[-4:], healthy.hu[-4:])


def test_slice_profiles_are_as_wide_as_the_slice_and_reach_further_in_spirals():
    distance = np.linspace(-1.5, 1.5, 3001)
    widths = {}
    for spiral, edge in SOFT_EDGE.items():
        shape = profile(distance, edge)
        widths[spiral] = np.ptp(distance[shape > 0])
        assert np.ptp(distance[shape >= 0.5]) == pytest.approx(1, abs=0.005)
        assert shape.mean() * 3 == pytest.approx(1, abs=0.01)
    assert widths[True] > 1.3 * widths[False]


@pytest.mark.parametrize(("thickness", "spiral"), [(5.0, False), (5.0, True), (7.5, False), (2.5, True)])
def test_fine_slices_are_weighted_to_one_about_the_middle(thickness, spiral):
    geometry = flat(9, thickness_mm=thickness)
    index, weight = _weights(geometry, SOFT_EDGE[spiral])
    assert weight.sum(1) == pytest.approx(1)
    places = (np.arange(9 * 4) - 1.5) / 4 * 5
    middle = (weight * places[index]).sum(1)
    assert middle[1:-1] == pytest.approx(geometry.positions_mm[1:-1, 2], abs=0.01)
    wide = np.sqrt((weight * (places[index] - middle[:, None]) ** 2).sum(1))[4]
    assert wide == pytest.approx(thickness / np.sqrt(12), rel=0.2)


def test_rays_of_a_disc_reconstruct_to_the_disc():
    y, x = np.mgrid[:64, :64] - 31.5
    disc = (np.hypot(x - 6, y) < 18).astype(np.float32)[..., None]
    found = projection.reconstruct(projection.forward(disc))[..., 0]
    assert found[(np.hypot(x - 6, y) < 14)].mean() == pytest.approx(1, abs=0.06)
    assert abs(found[(np.hypot(x - 6, y) > 24)].mean()) < 0.06
    assert projection.grow(disc, 64)[0] == pytest.approx(disc[..., 0])
    assert projection.shrink(projection.grow(disc, 192)).sum() == pytest.approx(disc.sum(), rel=0.01)


def test_beams_harden_between_dense_bones_and_under_the_vault():
    y, x = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(x, y)
    ring = np.where(np.abs(radius - 22) < 1.2, 1300.0, 35.0).astype(np.float32)
    bones = np.where((np.abs(np.abs(x) - 16) < 5) & (np.abs(y) < 3), 1300, ring).astype(np.float32)
    shade = hardened(bone_of(np.stack([ring, bones], -1)), 4.0, 0.1)
    vault, base = shade[..., 0], shade[..., 1]
    assert vault[(radius > 17) & (radius < 19)].mean() > vault[radius < 5].mean() + 0.5
    pons, behind = (np.abs(x) < 5) & (np.abs(y) < 3), (np.abs(x) < 5) & (np.abs(y - 14) < 3)
    assert base[pons].mean() < base[behind].mean() - 4
    assert -60 < base[pons].mean() < -8


def test_metal_streaks_its_own_slice_along_its_longest_way():
    hu = np.full((2, 96, 96), 30, np.float32)
    metal = np.zeros_like(hu)
    metal[1, 47:49, 40:56] = 0.2
    rays = np.full((projection.VIEWS, projection.BINS, 2), 3.0, np.float32)
    add_streaks(hu, metal, rays, 1.6, noise.WATER_PER_MM, np.random.default_rng(0))
    assert np.all(hu[0] == 30)
    assert hu[1, 47:49, 41:55].min() > 3071
    along, across = hu[1, 47:49, 62:90].mean(), hu[1, 62:90, 47:49].mean()
    assert along < across - 50


def test_clips_saturate_and_stand_in_streaks():
    ill, healthy = study("ge_sequential", CLIP), study("ge_sequential")
    mask = ill.masks[CLIP]
    worst = int(mask.sum((1, 2)).argmax())
    assert ill.hu.max() == 3071
    brain = (healthy.hu[worst] > 15) & (healthy.hu[worst] < 50) & ~mask[worst]
    change = (ill.hu[worst].astype(float) - healthy.hu[worst])[brain]
    assert change.std() > 2


def test_only_the_slices_in_which_the_head_moves_differ():
    still, moved = study("siemens_spiral"), study("siemens_spiral", motion_fraction=1.0)
    differs = (still.hu != moved.hu).any((1, 2))
    assert np.array_equal(differs, moved.scan.motion.shift_mm.any(1))
    assert 1 <= differs.sum() <= 6
    change = (moved.hu[differs].astype(float) - still.hu[differs]).mean()
    assert abs(change) < 6


def test_a_steady_shift_before_every_view_moves_the_image():
    image = np.zeros((1, 64, 64), np.float32)
    image[0, 30:34, 20:24] = 100
    motion = moving.Motion(shift_mm=np.array([[3.0, 0.0]]), start=np.zeros(1), jerk=np.zeros(1))
    spectrum = fft.rfft2(image).astype(np.complex64)
    moving.blur_moving(spectrum, motion, 0, 64, 1.0)
    assert fft.irfft2(spectrum)[0, 30:34, 23:27].mean() == pytest.approx(100, abs=1)


@pytest.mark.parametrize("name", scanners())
def test_a_rest_lies_behind_the_head_and_not_in_it(name):
    found = study(name)
    size = found.geometry.matrix_px
    line = np.arange(size) - (size - 1) / 2
    inside = np.hypot(line[:, None], line) < size / 2 - 2
    air = (found.tissue == 0) & inside
    thick = found.scan.hu
    rest = air & (thick > -940)
    assert rest[:, size // 2 :].mean() > 2.5 * rest[:, : size // 4].mean()
    assert np.median(found.hu[air & (thick < -999)]) == pytest.approx(-1000, abs=3)


def test_padding_fills_what_lies_outside_of_the_circle_where_a_scanner_pads():
    for name, scanner in scanners().items():
        corner = study(name).hu[:, 0, 0]
        assert np.all(corner == -1024) == bool(scanner.padding_hu)


def test_a_study_takes_the_thickness_the_tilt_and_the_steps_of_its_scanner():
    thin = study("siemens_spiral", thickness_mm=(0.6, 0.6))
    assert np.allclose(thin.geometry.thickness_mm, 0.6)
    assert len(thin.hu) > 200
    usual = study("siemens_spiral")
    brain = [s.scan.hu[int(0.6 * len(s.hu))] for s in (thin, usual)]
    grains = [s.hu[int(0.6 * len(s.hu))][(b > 20) & (b < 45)] - b[(b > 20) & (b < 45)]
              for s, b in zip((thin, usual), brain, strict=True)]  # fmt: skip
    assert grains[0].std() > 1.8 * grains[1].std()
    uneven = study("siemens_sequential", uneven_fraction=1.0, tilted_fraction=1.0)
    assert uneven.geometry.thickness_mm[0] < uneven.geometry.thickness_mm[-1]
    assert uneven.geometry.tilt_deg != 0
    assert len(study("ge_spiral", slices_max=20).hu) == 20
    assert study("ge_spiral", tilted_fraction=1.0).geometry.tilt_deg == 0


def test_the_soft_kernel_blurs_and_the_bone_kernel_sharpens():
    found = study("toshiba_sequential", matrix_px=144)
    steep = {}
    for kind in ("soft", "bone"):
        image = found.scan.reconstruct(getattr(found.scan.protocol.scanner, kind)).astype(float)
        steep[kind] = np.abs(np.diff(image[len(image) // 2], axis=1)).max()
    assert steep["bone"] > 1.2 * steep["soft"]


def test_thin_slices_average_to_the_thick_ones():
    found = next(
        one for index in range(40) if (one := study("philips_spiral", index=index, further_series=1.0)).scan.thin
    )
    thin, thick = found.scan.thin, found.scan
    fine = found.geometry.fine
    assert len(thin.hu) == fine * len(thick.hu)
    assert thin.geometry.positions_mm.reshape(-1, fine, 3).mean(1) == pytest.approx(
        thick.geometry.positions_mm, abs=1e-3
    )
    brain = (thick.hu > 20) & (thick.hu < 45)
    means = thin.hu.reshape(-1, fine, *thick.hu.shape[1:]).mean(1)
    assert np.median(np.abs(means - thick.hu)[brain]) < 4
    assert abs((means - thick.hu)[brain].mean()) < 3
    seen = thin.reconstruct(Kernel(name="soft", cutoff_per_mm=0.9, boost=0.0))
    assert seen.shape == thin.hu.shape


def test_the_same_numbers_give_the_same_bytes_in_any_thread():
    config, found = CohortConfig(seed=4, matrix_px=96, rarest=0.1), {}

    def make(name, workers):
        with fft.set_workers(workers):
            found[name] = make_study(config, 5)

    make("here", 1)
    threads = [threading.Thread(target=make, args=(n, 2)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.hu.tobytes() for one in found.values()}) == 1
    bones = {one.scan.reconstruct(one.scan.protocol.scanner.bone).tobytes() for one in found.values()}
    assert len(bones) == 1
