"""The store's contract, read with plain pyarrow as another tool would."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from molre.findings import KEYS


def test_parts_are_plain_arrow_files_of_the_documented_schema(filled, invented):
    store = filled(invented.Invented(6))
    manifest = json.loads(Path(f"{store.uri}/manifest.json").read_text())
    assert manifest["schema_version"] == 3
    assert manifest["grid"] == {"name": "tiny", "shape": [4, 6, 8], "spacing_mm": [5.0, 2.0, 1.0]}
    assert manifest["vocabulary"] == list(KEYS)
    assert [part["name"] for part in manifest["parts"]] == ["part-00000.arrow", "part-00001.arrow"]
    with pa.OSFile(f"{store.uri}/part-00000.arrow") as file:
        table = pa.ipc.open_file(file).read_all()
    schema = table.schema
    assert schema.field("hu").type.extension_name == "arrow.fixed_shape_tensor"
    assert schema.field("hu").type.value_type == pa.int16()
    assert schema.field("hu").type.shape == [4, 6, 8]
    assert schema.field("spacing_mm").type == pa.list_(pa.float64(), 3)
    assert schema.field("affine").type == pa.list_(pa.float64(), 16)
    assert schema.field("labels").type == pa.list_(pa.int8(), 75)
    assert {schema.field(name).type for name in ("split", "patient", "study", "series")} == {pa.string()}
    tensor = table["hu"].combine_chunks()
    assert np.array_equal(tensor.to_numpy_ndarray()[2], invented.voxels(2))
    assert table["spacing_mm"][1].as_py() == [5.0, 2.0, 1.0]
    assert np.reshape(table["affine"][1].as_py(), (4, 4))[0, 0] == -1.0
    assert table["labels"][1].as_py() == [1] + [-1] * 74
    assert table["repairs"][0].as_py() == ["GEO_TILT: undone"]


def test_unknown_numbers_are_null_not_nan(filled, invented):
    store = filled(invented.Invented(2))
    assert store.table(["kvp", "tilt_deg"]).to_pylist() == [{"kvp": None, "tilt_deg": None}] * 2


def test_nothing_but_version_and_grid_is_in_the_metadata(filled, invented):
    store = filled(invented.Invented(2))
    with pa.memory_map(f"{store.uri}/part-00000.arrow") as file:
        metadata = pa.ipc.open_file(file).schema.metadata
    assert metadata == {b"molre.schema_version": b"3", b"molre.grid": b"tiny"}


def test_each_row_is_a_record_batch_of_its_own(filled, invented):
    store = filled(invented.Invented(4))
    with pa.memory_map(f"{store.uri}/part-00000.arrow") as file:
        assert pa.ipc.open_file(file).num_record_batches == 4
