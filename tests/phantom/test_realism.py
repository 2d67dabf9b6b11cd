"""The measures find in a head of known build what it was built with; phantoms measure as real heads do."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from molre.dicom import read_study, scan
from molre.phantom import CohortConfig, make_study
from molre.phantom.grain import grain_of
from molre.phantom.rays import PLACES, rays_of
from molre.phantom.realism import MEASURES, measured, scan_of, scan_of_phantom, two_peaks, ventricles
from molre.phantom.regions import Scan, millilitres, regions_of

AGES_YEARS = (25, 40, 55, 65, 75, 85)
RANGES = {
    "white_hu": (24, 33), "grey_hu": (31, 41), "contrast_hu": (3, 12), "tenth_hu": (21, 30), "ninetieth_hu": (32, 42),
    "fluid_hu": (3, 15), "fat_hu": (-115, -75), "muscle_hu": (42, 65), "air_hu": (-1024, -970),
    "tables_hu": (950, 2000), "diploe_hu": (300, 1150),
    "frontal_mm": (4.5, 9.5), "parietal_mm": (4, 8.5), "temporal_mm": (2.5, 6), "occipital_mm": (4.5, 10),
    "scalp_mm": (3.5, 9.5), "cavity_ml": (1200, 1700), "brain_share": (78, 97.5), "ventricles_ml": (8, 55),
    "breadth_mm": (130, 160), "length_mm": (160, 198), "index": (73, 88),
    "noise_hu": (1.0, 5.5), "noise_peak": (0.1, 0.42), "noise_mean": (0.18, 0.5), "noise_limit": (0.3, 0.85),
}  # fmt: skip
"""Where the median of normal phantoms is to lie: literature and the real head, with room for six heads' chance."""


@cache
def built(thickness_mm=7.0, noise_hu=3.0):
    """An egg of skin, skull, grey and white matter and a ventricle, in 5 mm slices of 1 mm pixels."""
    z, y, x = np.meshgrid(np.arange(-60, 95, 5.0), np.arange(-120, 120.0), np.arange(-120, 120.0), indexing="ij")
    radius = np.sqrt(x**2 * (82 / 70) ** 2 + y**2 + z**2)
    hu = np.full(x.shape, -1000, np.float32)
    for outer, value in ((82 + thickness_mm + 6, -90), (82 + thickness_mm, 1200), (82, 37), (66, 27)):
        hu[radius < outer] = value
    hu[(x / 14) ** 2 + (y / 36) ** 2 + ((z - 20) / 14) ** 2 < 1] = 8
    hu = ndimage.gaussian_filter(hu, (0, 0.5, 0.5))
    hu += noise_hu * np.random.default_rng(0).standard_normal(hu.shape, np.float32)
    return Scan(hu=hu, height_mm=np.arange(-60, 95, 5.0), pixel_mm=1.0)


def test_cavity_and_ventricle_have_the_volume_they_were_built_with():
    regions = regions_of(built())
    whole = 4 / 3 * np.pi * 82 * 82 * 70 / 1000
    below = np.pi * (82 - 60) ** 2 * (3 * 82 - (82 - 60)) / 3 / 1000 * 70 / 82
    assert millilitres(regions.cavity) == pytest.approx(whole - below, rel=0.04)
    assert millilitres(ventricles(regions)) == pytest.approx(4 / 3 * np.pi * 14 * 36 * 14 / 1000, rel=0.15)


@pytest.mark.parametrize("thickness_mm", [4.0, 7.0])
def test_rays_find_the_thickness_of_skull_and_scalp(thickness_mm):
    scan_ = built(thickness_mm)
    rays = rays_of(scan_, regions_of(scan_))
    front = rays.at("frontal") & (rays.below_mm > 55)
    assert np.median(rays.skull_mm[front]) == pytest.approx(thickness_mm, abs=0.8)
    assert np.median(rays.scalp_mm[front]) == pytest.approx(6, abs=1.0)
    assert all(rays.at(place).any() for place in PLACES)


def test_two_peaks_of_a_known_mixture():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(27.5, 2.2, 40_000), rng.normal(36.5, 2.2, 30_000)]).astype(np.float32)
    assert two_peaks(values) == pytest.approx((27.5, 36.5), abs=0.4)


@pytest.mark.parametrize("sigma_px", [0.0, 1.2])
def test_level_and_colour_of_the_noise_are_those_put_in(sigma_px):
    noise = np.random.default_rng(2).standard_normal((6, 200, 200))
    noise = ndimage.gaussian_filter(noise, (0, sigma_px, sigma_px)) if sigma_px else noise
    hu = (30 + 3.0 * noise / noise.std()).astype(np.float32)
    grain = grain_of(Scan(hu=hu, height_mm=np.arange(6) * 5.0, pixel_mm=0.5))
    assert grain.deviation_hu == pytest.approx(2.75, abs=0.35)  # the most even patches hold a little less
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 0.5), np.fft.fftfreq(64, 0.5)))
    power = np.exp(-((2 * np.pi * frequency * sigma_px * 0.5) ** 2)) * (frequency <= 1)
    assert grain.mean_per_mm == pytest.approx((power * frequency).sum() / power.sum(), rel=0.15)


@cache
def phantoms():
    """Six normal heads."""
    config = CohortConfig(seed=77, matrix_px=256, field_mm=250.0, scanners=("ge_sequential",), tilted_fraction=0.0)
    found = [
        measured(scan_of_phantom(make_study(config, n, force=(), age_years=float(a)))) for n, a in enumerate(AGES_YEARS)
    ]
    return {measure.key: np.array([one[measure.key] for one in found]) for measure in MEASURES}


@pytest.mark.parametrize("key", sorted(RANGES))
def test_normal_phantoms_measure_as_heads_do(key):
    low, high = RANGES[key]
    assert low <= np.nanmedian(phantoms()[key]) <= high


def test_heads_differ_and_age():
    found = phantoms()
    assert np.std(found["cavity_ml"]) > 30
    assert np.std(found["parietal_mm"]) > 0.3
    assert found["ventricles_ml"][-2:].mean() > found["ventricles_ml"][:2].mean()


def test_the_real_head_measures_as_its_reader_measured_it(head_ct_ge):
    found = measured(scan_of(read_study(scan(head_ct_ge).studies[0]).stack))
    assert set(found) == {measure.key for measure in MEASURES}
    low_high = {**RANGES, "ventricles_ml": (40, 90), "brain_share": (80, 95)}  # old, with an old infarct
    told = {key: found[key] for key, (low, high) in low_high.items() if not low <= found[key] <= high}
    assert not told
