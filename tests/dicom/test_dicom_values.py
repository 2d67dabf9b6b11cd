"""What the stored numbers mean: a right HU, a right one with what was mended, or a refusal."""

import numpy as np
import pytest
from pydicom import uid

from molre.dicom import read_study


def stored(kit, scan_, path, index, change):
    """A slice written anew with other stored values, which ``change`` makes of its HU."""
    data = scan_.dataset(index)
    data.PixelData = change(scan_.hu(index).astype(np.int32)).astype("<i2" if scan_.signed else "<u2").tobytes()
    path.write_bytes(kit.encoded(data, scan_.syntax))


@pytest.mark.parametrize("padding", [-1500, -2000, -3024, -1024])
def test_padding_becomes_air_after_rescale_and_is_counted(kit, tmp_path, padding):
    scan_ = kit.scan()
    paths = kit.write(scan_, tmp_path)
    data = scan_.dataset(3)
    stored = np.frombuffer(data.PixelData, "<i2").copy().reshape(scan_.shape)
    stored[:, :6] = padding
    data.PixelData, data.PixelPaddingValue = stored.tobytes(), padding
    data["PixelPaddingValue"].VR = "SS"
    paths[3].write_bytes(kit.encoded(data, uid.ImplicitVRLittleEndian))
    series = read_study(kit.study(tmp_path))
    assert series.repairs == ("VAL_PADDING: 240 voxels of padding are set to -1024 HU",)
    assert (series.stack.hu[3, :, :6] == -1024).all()
    np.testing.assert_array_equal(series.stack.hu[3, :, 6:], scan_.hu(3)[:, 6:])


def test_rescale_is_taken_slice_by_slice(kit, tmp_path):
    scan_ = kit.scan()
    paths = kit.write(scan_, tmp_path)
    for index, (slope, intercept) in enumerate([(1, -24), (2, -1024), (0.5, 100), (1, 0)]):
        data = scan_.dataset(index)
        stored = (scan_.hu(index) - intercept) / slope
        data.PixelData = np.rint(stored).astype("<i2").tobytes()
        data.RescaleSlope, data.RescaleIntercept = str(slope), str(intercept)
        paths[index].write_bytes(kit.encoded(data, scan_.syntax))
    series = read_study(kit.study(tmp_path))
    assert np.abs(series.stack.hu - [scan_.hu(index) for index in range(7)]).max() <= 1
    assert series.repairs == ("VAL_PER_SLICE_RESCALE: the slices have 4 different scales: each is scaled by its own",)


@pytest.mark.parametrize(
    "layout",
    [
        {"bits_stored": 12, "signed": False, "intercept": -1024},
        {"bits_stored": 12, "signed": True, "intercept": 0},
        {"bits_stored": 16, "signed": False, "intercept": -8192},
        {"bits_stored": 16, "signed": True, "intercept": -1024},
    ],
)
def test_every_way_to_store_gives_the_same_hu(kit, tmp_path, layout):
    scan_ = kit.scan(**layout)
    kit.write(scan_, tmp_path)
    series = read_study(kit.study(tmp_path))
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])
    assert series.repairs == ()


@pytest.mark.parametrize("modulo", [4096, 65536])
def test_negative_values_stored_as_unsigned_are_turned_back(kit, tmp_path, modulo):
    scan_ = kit.scan(bits_stored=12, signed=False, intercept=0)
    paths = kit.write(scan_, tmp_path)
    for index, path in enumerate(paths):
        data = scan_.dataset(index)
        data.PixelData = (scan_.hu(index).astype(np.int32) % modulo).astype("<u2").tobytes()
        path.write_bytes(kit.encoded(data, scan_.syntax))
    series = read_study(kit.study(tmp_path))
    assert kit.codes(series) == ["VAL_UNSIGNED_OVERFLOW"]
    np.testing.assert_array_equal(series.stack.hu, [scan_.hu(index) for index in range(7)])


def test_an_overlay_in_unused_bits_does_not_reach_the_hu(kit, tmp_path):
    scan_ = kit.scan(bits_stored=12, signed=False, intercept=-1024)
    paths = kit.write(scan_, tmp_path)
    data = scan_.dataset(3)
    stored = np.frombuffer(data.PixelData, "<u2").copy()
    stored[100:200] |= 0x4000
    data.PixelData = stored.tobytes()
    paths[3].write_bytes(kit.encoded(data, scan_.syntax))
    np.testing.assert_array_equal(read_study(kit.study(tmp_path)).stack.hu[3], scan_.hu(3))


def test_a_value_of_padding_that_is_air_needs_no_mending(kit, tmp_path):
    scan_ = kit.scan(signed=False, intercept=-1024, changes={"PixelPaddingValue": 0})
    for index, path in enumerate(kit.write(scan_, tmp_path)):
        stored(kit, scan_, path, index, lambda hu: np.where(np.indices(hu.shape)[1] < 6, 0, hu + 1024))
    series = read_study(kit.study(tmp_path))
    assert series.repairs == ()
    assert (series.stack.hu[:, :, :6] == -1024).all()


def test_padding_above_all_metal_becomes_air(kit, tmp_path):
    scan_ = kit.scan(changes={"PixelPaddingValue": 32767}, intercept=0)
    paths = kit.write(scan_, tmp_path)
    stored(kit, scan_, paths[3], 3, lambda hu: np.where(np.indices(hu.shape)[1] < 6, 32767, hu))
    series = read_study(kit.study(tmp_path))
    assert series.repairs == ("VAL_PADDING: 240 voxels of padding are set to -1024 HU",)
    assert (series.stack.hu[3, :, :6] == -1024).all()
    np.testing.assert_array_equal(series.stack.hu[3, :, 6:], scan_.hu(3)[:, 6:])


@pytest.mark.parametrize("unit", ["HU", "US", "hu ", None])
def test_units_that_are_hu_or_not_told(kit, tmp_path, unit):
    kit.write(kit.scan(changes={"RescaleType": unit} if unit else {}), tmp_path)
    assert read_study(kit.study(tmp_path)).repairs == ()


@pytest.mark.parametrize("unit", ["Z_EFF", "EDW", "PCT", "HU_MOD"])
def test_other_units_are_refused(kit, tmp_path, unit):
    kit.write(kit.scan(changes={"RescaleType": unit}), tmp_path)
    assert kit.refused(kit.study(tmp_path)) == "VAL_RANGE"


def real_head_hu(points_mm):
    """Air, a skull of all densities that bone has, and a brain."""
    radius = np.linalg.norm(points_mm / np.array([62.0, 78.0, 70.0]), axis=-1)
    return np.select(
        [radius > 1.1, radius > 0.95], [-1000.0, 600 + 900 * (1 - np.abs(radius - 1.025) / 0.075) ** 2], 35
    )


@pytest.mark.parametrize("shift_hu", [300, 150, 0, -200, -300, -1024, -5000])
@pytest.mark.parametrize("padded", [True, False])
def test_air_or_tissue_at_another_value_is_refused(kit, tmp_path, shift_hu, padded):
    """A wrong intercept, one that is applied twice among them; outside the field may be padding all the same."""
    scan_ = kit.scan(scene=real_head_hu, changes={"RescaleIntercept": str(shift_hu)})
    for index, path in enumerate(kit.write(scan_, tmp_path)):
        stored(kit, scan_, path, index, lambda hu: np.where(padded & (np.indices(hu.shape)[1] < 5), -9000, hu))
    if shift_hu:
        assert kit.refused(kit.study(tmp_path)) == "VAL_RANGE"
    else:
        assert kit.codes(read_study(kit.study(tmp_path))) == (["VAL_PADDING"] if padded else [])


@pytest.mark.parametrize("noise_hu", [0, 15, 60])
@pytest.mark.parametrize("air_hu", [-1024, -1010, -970])
def test_air_may_be_noisy_clipped_or_a_little_off(kit, tmp_path, noise_hu, air_hu):
    random = np.random.default_rng(4)
    scan_ = kit.scan()
    for index, path in enumerate(kit.write(scan_, tmp_path)):
        stored(kit, scan_, path, index, lambda hu: np.maximum(
            np.where(hu == -1000, air_hu, hu) + random.normal(0, noise_hu, hu.shape), -1024
        ) + 24)  # fmt: skip
    assert read_study(kit.study(tmp_path)).repairs == ()


METAL = np.s_[10:14, 20:23]


@pytest.mark.parametrize(
    ("options", "top", "count"),
    [
        ({}, 3070, 0),
        ({}, 3071, 12),
        ({}, 9000, 12),
        ({"signed": False, "bits_stored": 12, "intercept": -1024}, 3070, 0),
        ({"signed": False, "bits_stored": 12, "intercept": -1024}, 3071, 12),
        ({"signed": False, "bits_stored": 12, "intercept": -1100}, 2995, 12),
    ],
)
def test_metal_at_the_top_of_the_range_is_counted_and_kept(kit, tmp_path, options, top, count):
    scan_ = kit.scan(**options)
    paths = kit.write(scan_, tmp_path)

    def with_metal(hu):
        hu[METAL] = top
        return hu - scan_.intercept

    stored(kit, scan_, paths[3], 3, with_metal)
    series = read_study(kit.study(tmp_path))
    told = f"VAL_SATURATED_12BIT: {count} voxels lie at the top of the 12-bit range: metal may be denser than they say"
    assert series.repairs == ((told,) if count else ())
    assert (series.stack.hu[3][METAL] == top).all()


@pytest.mark.parametrize(
    "changes", [{"LossyImageCompression": "01"}, {"LossyImageCompression": "01", "RescaleType": "HU"}]
)
def test_a_loss_before_is_told(kit, tmp_path, changes):
    scan_ = kit.scan()
    kit.rewrite(scan_, kit.write(scan_, tmp_path)[4], 4, **changes)
    series = read_study(kit.study(tmp_path))
    assert series.repairs == ("VAL_LOSSY: 1 files were compressed with loss before they came here",)
    assert series.attributes["lossy"] is True


def test_a_syntax_that_always_loses_is_told(kit, tmp_path):
    scan_ = kit.scan(syntax=uid.JPEGLSLossless)
    for path in kit.write(scan_, tmp_path):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.81"))
    series = read_study(kit.study(tmp_path))
    assert kit.codes(series) == ["VAL_LOSSY"]


def test_what_is_turned_back_beyond_air_is_air(kit, tmp_path):
    scan_ = kit.scan(bits_stored=12, signed=False, intercept=0)
    for index, path in enumerate(kit.write(scan_, tmp_path)):
        data = scan_.dataset(index)
        hu = scan_.hu(index)
        hu[0] = -1090
        data.PixelData = (hu.astype(np.int32) % 4096).astype("<u2").tobytes()
        path.write_bytes(kit.encoded(data, scan_.syntax))
    series = read_study(kit.study(tmp_path))
    assert kit.codes(series) == ["VAL_UNSIGNED_OVERFLOW"]
    assert series.stack.hu.min() == -1024
