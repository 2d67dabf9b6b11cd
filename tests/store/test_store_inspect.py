"""``python -m molre.store``: what it prints, what it finds damaged, what it draws."""

import csv
import io
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molre.findings import KEYS
from molre.store.inspection import MOST_VALUES, _numbers, figures


@pytest.fixture
def store(filled, invented):
    return filled(invented.Invented(12, fates={1: "refuse", 4: "raise"}))


@pytest.fixture
def inspect(monkeypatch, capfd):
    """Runs the command in this process and returns exit status, stdout and stderr."""

    def ran(*words):
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["store", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_module("molre.store", run_name="__main__", alter_sys=True)
        told = capfd.readouterr()
        return stop.value.code, told.out, told.err

    return ran


def test_a_whole_store_is_told_and_found_whole(store, inspect):
    status, out, err = inspect(store.uri)
    assert (status, err) == (0, "")
    assert out.rstrip().endswith("all parts are what the manifest says")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "counts 12 studies, 10 rows, 6 patients, 2 studies rejected, 1 files rejected, 3 files ignored" in lines
    assert any(line.startswith("GEO_TOO_FEW_SLICES 1 ###") for line in lines)
    assert any(line.startswith(f"{KEYS[0]} 5 10 50.0 ") for line in lines)
    assert f"{len(KEYS) - 1} of {len(KEYS)} findings are unknown in every row" in lines
    assert any(line.startswith("GEO_TILT 10 ###") for line in lines)
    assert "folder/" not in out


def test_json_says_the_same(store, inspect):
    status, out, _ = inspect(store.uri, "--json")
    told, labels = json.loads(out), store.labels()
    assert status == 0
    assert told["counts"]["rows"] == 10
    assert told["rejected"] == {"ENC_FAILED": 1, "ENC_TRUNCATED": 1, "GEO_TOO_FEW_SLICES": 1}
    sides = {split: store.indices(split) for split in ("train", "val", "test")}
    patients = np.array(store.table(["patient"])["patient"].to_pylist())
    assert told["splits"] == {
        split: {"rows": len(rows), "patients": len(set(patients[rows]))} for split, rows in sides.items()
    }
    first = told["findings"][KEYS[0]]
    assert (first["positives"], first["known"]) == (5, 10)
    assert {split: first[split] for split in sides} == {
        split: int((labels[rows, 0] == 1).sum()) for split, rows in sides.items()
    }
    attributes = told["attributes"]
    assert attributes["kvp"] == {"unknown": 10, "rows": {}}
    assert attributes["manufacturer"]["rows"] == {"A": 10}
    assert attributes["repairs"]["rows"] == {"GEO_TILT": 10}
    assert attributes["slice_count"] | {"rows": {}} == {
        "unknown": 0, "least": 0.0, "median": 6.5, "most": 11.0, "rows": {}
    }  # fmt: skip
    assert told["files"] == {"count": 4, "hashed": True, "damaged": []}
    assert told["remarks"] == []
    assert told["synthetic"] is False


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_every_damaged_or_missing_part_is_named(store, inspect):
    folder = Path(store.uri)
    flip(folder / "part-00000.arrow")
    (folder / "part-00001.arrow").unlink()
    (folder / "part-00002.arrow").write_bytes(b"short")
    status, out, err = inspect(store.uri)
    assert status == 1
    assert "all parts" not in out
    assert err.splitlines() == [
        "damaged: part-00000.arrow is damaged: its SHA-256 is not the manifest's",
        "damaged: part-00001.arrow is missing",
        f"damaged: part-00002.arrow has 5 bytes, and {store.manifest.parts[2].bytes:,} by the manifest",
    ]
    status, out, _ = inspect(store.uri, "--json")
    assert status == 1
    assert [entry["file"][5:10] for entry in json.loads(out)["files"]["damaged"]] == ["00000", "00001", "00002"]


def test_a_long_check_tells_how_far_it_is(store, monkeypatch, capfd):
    from molre.store import __main__ as command

    progress = command._Progress(store)
    progress(1, 10)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(command, "TELL_EVERY_S", -1.0)
    progress(2, 20)
    assert capfd.readouterr().err.startswith("sha256 of 2 of 4 files, 0.0 of 0.0 GB, ")


def test_without_hashing_only_sizes_are_compared(store, inspect):
    flip(Path(store.uri) / "part-00000.arrow")
    status, out, err = inspect(store.uri, "--no-check")
    assert (status, err) == (0, "")
    assert out.rstrip().endswith("all parts have the manifest's sizes")
    assert "what the manifest says" not in out


def test_a_damaged_index_is_named_and_the_rest_is_told(store, inspect):
    flip(Path(store.uri) / store.manifest.index.name)
    status, out, err = inspect(store.uri)
    assert status == 1
    assert err == f"damaged: {store.manifest.index.name} is damaged: its SHA-256 is not the manifest's\n"
    assert "note: the index is damaged" in out
    assert "10 rows" in out


def test_rejected_csv_that_does_not_add_up_is_remarked(store, inspect):
    file = Path(store.uri) / "rejected.csv"
    lines = list(csv.reader(io.StringIO(file.read_text())))
    file.write_text("\n".join(map(",".join, lines[:-1])))
    assert "note: rejected.csv has 2 lines, and 3 by the manifest" in inspect(store.uri)[1]
    file.unlink()
    assert "note: rejected.csv cannot be read" in inspect(store.uri)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere"], "there is no store at /nowhere"),
        ([], "DIR"),
        (["/nowhere", "--volumes", "0"], "volumes is 0"),
        (["/nowhere", "--chek"], "--chek"),
        (["nowhere://store"], "cannot open the location"),
    ],
)
def test_a_wrong_call_is_one_line(inspect, words, said):
    status, out, err = inspect(*words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err


def test_a_store_that_cannot_be_opened_is_one_line(store, inspect):
    (Path(store.uri) / "manifest.json").write_text("{")
    status, _, err = inspect(store.uri)
    assert (status, len(err.splitlines())) == (2, 1)


def test_matplotlib_is_not_needed_without_a_montage():
    import subprocess

    code = "import sys, molre.store.__main__; sys.exit(int(bool({'matplotlib', 'torch', 'ray'} & set(sys.modules))))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_a_montage_shows_volumes_and_no_whole_identifier(small_store, inspect, tmp_path):
    from matplotlib import image

    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        place = tmp_path / f"{name}.png"
        assert inspect(small_store, "--no-check", "--montage", place, "--volumes", 3, "--seed", seed)[0] == 0
        drawn.append(image.imread(place)[..., :3])
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert 0.1 < (drawn[0] > 0.2).mean() < 0.9


def test_captions_are_six_digits_of_the_pseudonym_the_split_and_the_findings(filled, invented):
    from molre.store.montage import _caption

    store = filled(invented.Invented(2))
    fact = {"study": "0123456789abcdef", "split": "val"}
    assert _caption(store, 0, fact) == "012345  val  no finding"
    assert _caption(store, 1, fact) == "012345  val  Intracranial hemorrhage any"


def test_a_montage_is_drawn_nose_up_with_the_patients_left_on_the_right(tmp_path):
    """A ball in front and to the patient's left lies up and to the right; the sheet's slices go up the body."""
    from matplotlib import image

    from molre.findings import label_vector
    from molre.location import Location
    from molre.store import Manifest, Row, Store
    from molre.store.montage import montage
    from molre.store.writer import write_index, write_part
    from molre.volume import Grid

    grid = Grid(name="test", shape=(30, 60, 60), spacing_mm=(5.0, 4.0, 4.0))
    hu = np.full(grid.shape, -1000, np.int16)
    hu[:, 5:55, 5:55] = 0  # the window's lower end, black, to frame the slice
    hu[:, 8:18, 42:52] = 80  # rows run to the back, columns to the left
    hu[:8, 40:50, 8:18] = 80  # behind, right, and low in the body
    row = Row(
        hu=hu, spacing_mm=grid.spacing_mm, affine=np.diag([-4.0, -4.0, 5.0, 1.0]), labels=label_vector({}),
        split="train", patient="p", study="s", series="r",
    )  # fmt: skip
    folder = Location.of(tmp_path / "store").make_folder()
    parts = (write_part(folder, 0, grid, [row]),)
    Manifest(grid=grid, parts=parts, index=write_index(folder, grid, parts), counts={}, source="phantom").write(folder)
    sheet = image.imread(io.BytesIO(montage(Store.open(folder), 1, 0)))[..., 0]
    slices = [sheet[35:210, at * 145 : at * 145 + 141] for at in range(6)]
    middle, side = 175 // 2, 141 // 2
    for number, shown in enumerate(slices):
        bright = shown > 0.9
        if number == 0:
            bright = bright.copy()
            bright[:40] &= False  # the letters R and L
        assert bright[middle:, side:].sum() == 0
        assert (bright[middle:, :side].sum() > 100) == (number < 2)
    assert all((shown[:middle, side:] > 0.9).sum() > 100 for shown in slices[1:])


@given(st.lists(st.floats(-500, 5000, width=32), min_size=1, max_size=60))
def test_a_histogram_counts_every_value_once(values):
    told = _numbers(np.array(values, np.float64))
    assert sum(told["rows"].values()) == len(values)
    assert len(told["rows"]) <= MOST_VALUES
    for name, count in told["rows"].items():
        low, _, high = name.partition(" to ")
        if high:
            hundredths = np.rint(np.array(values, np.float64) * 100) / 100
            assert ((hundredths >= float(low) - 1e-9) & (hundredths < float(high) - 1e-9)).sum() == count


def test_a_phantom_store_says_that_it_is_synthetic(store):
    from dataclasses import replace

    from molre.store import Store
    from molre.store.listing import listing

    phantom = Store(store.location, replace(store.manifest, source="phantom"))
    assert "source     phantom (synthetic)" in listing(figures(phantom))
