"""10,000 damaged files: each study ends as a volume or as a reason, and the process that reads them lives on."""

import json
import pickle
import subprocess
import sys
from collections import Counter
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from mutations import study
from pydicom import dcmwrite, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from test_dicom_multiframe import enhanced

from molre.dicom.codes import REFUSALS

FILES, SEED = 10_000, 7
MEMORY_MIB = 300
"""What reading may add to a process: a deflated file may have 64 MiB, and is held a few times over."""

SCRIPT = Path(__file__).with_name("mutations.py")
BY_PYDICOM = (
    uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless,
)  # fmt: skip
BY_IMAGECODECS = {
    uid.JPEGExtended12Bit: lambda values: imagecodecs.jpeg_encode(values, level=95, bitspersample=12),
    uid.JPEGLosslessSV1: lambda values: imagecodecs.ljpeg_encode(values, bitspersample=12),
    uid.JPEGLSNearLossless: lambda values: imagecodecs.jpegls_encode(values, level=2),
    uid.JPEG2000: lambda values: imagecodecs.jpeg2k_encode(values, level=60, codecformat="j2k", bitspersample=12),
    uid.HTJ2KLossless: imagecodecs.htj2k_encode,
}


@pytest.fixture(scope="module")
def good(kit) -> dict[str, list[bytes]]:
    """A good study in every kind of transfer syntax, and two as one file of many frames."""
    scan = kit.scan(count=4, step_mm=30, shape=(32, 32), pixel_mm=(6, 6), bits_stored=12, signed=False, intercept=-1024)
    files = {name.name: [kit.encoded(scan.dataset(at), name) for at in range(4)] for name in BY_PYDICOM}
    for name, encode in BY_IMAGECODECS.items():
        files[name.name] = [compressed(scan.dataset(at), name, encode) for at in range(4)]
    for name in (uid.ExplicitVRLittleEndian, uid.JPEG2000Lossless):
        files[f"{name.name}, many frames"] = [kit.encoded(enhanced(scan, range(4)), name)]
    return files


def compressed(data, syntax, encode) -> bytes:
    """The dataset as a file whose pixels pydicom has no encoder for."""
    values = np.frombuffer(data.PixelData, "<u2").reshape(data.Rows, data.Columns)
    data.PixelData = encapsulate([encode(values)])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    stream = BytesIO()
    dcmwrite(stream, data, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def test_damage_is_the_same_with_the_same_seed_only(good):
    assert [study(good, 1, number) for number in range(40)] == [study(good, 1, number) for number in range(40)]
    assert study(good, 1, 3) != study(good, 2, 3)
    for number in range(40):
        name, files, count = study(good, 1, number)
        assert sum(new != old for new, old in zip(files, good[name], strict=True)) <= count


@pytest.mark.slow
def test_10000_damaged_files_end_no_process(good, kit, tmp_path, capsys):
    (tmp_path / "good.pickle").write_bytes(pickle.dumps(good))
    (tmp_path / "planted.json").write_text(json.dumps(["Musterfrau", "Erika", "4711", "SECRET"]))
    command = [sys.executable, SCRIPT, tmp_path, SEED, 0, FILES]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=500)
    at = (tmp_path / "at").read_text()
    assert done.returncode == 0, f"study {at} of seed {SEED} ended the process with {done.returncode}: {done.stderr}"
    assert not done.stderr
    told = json.loads(done.stdout)
    by_code: Counter[str] = Counter()
    for name, count in told["counts"].items():
        by_code[name.rpartition(": ")[2]] += count
    with capsys.disabled():
        print(f"\n{told['files']} damaged files of {told['studies']} studies: {dict(by_code.most_common())}")
    assert told["files"] >= FILES
    assert told["gained_mib"] < MEMORY_MIB
    assert set(by_code) <= {*REFUSALS, "read", "nothing"}
    # Damage reached what lies behind every check: many kinds of refusal, and studies read in each transfer syntax.
    assert len(by_code) >= 20
    assert all(told["counts"].get(f"{name}: read", 0) for name in good)
    assert all(told["counts"].get(f"{name}: ENC_BAD_PIXELS", 0) for name in good if "JPEG" in name)
