"""Where the footer says that the voxels lie, against where pyarrow finds them."""

import numpy as np
import pyarrow as pa
import pytest

from molre.errors import StoreError
from molre.store.footer import bodies


def test_bodies_are_where_pyarrow_maps_them(filled, invented):
    store = filled(invented.Invented(9), rows_per_part=9)
    with pa.memory_map(f"{store.uri}/part-00000.arrow") as file:
        begin = file.read_buffer(8).address
        reader = pa.ipc.open_file(file)
        batches = [reader.get_batch(at) for at in range(9)]
        buffers = [batch.column(0).storage.values.buffers()[1] for batch in batches]
        found = bodies(file)
    assert [offset for offset, _ in found] == [buffer.address - begin for buffer in buffers]
    assert all(length > 2 * np.prod(invented.GRID.shape) for _, length in found)


def test_a_file_without_batches_has_no_bodies(tmp_path):
    with pa.OSFile(str(tmp_path / "empty"), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("a", pa.int8())])):
        pass
    with pa.OSFile(str(tmp_path / "empty")) as file:
        assert bodies(file) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"ARROW1", b"no arrow file at all, but longer than a tail", b"x" * 50 + b"\xff\xff\xff\x7fARROW1",
     b"x" * 50 + b"\x10\x00\x00\x00ARROW1", bytes(50) + b"\x04\x00\x00\x00ARROW1"],
)  # fmt: skip
def test_what_is_no_arrow_file_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pa.OSFile(str(tmp_path / "file")) as file, pytest.raises(StoreError, match="Arrow file"):
        bodies(file)
