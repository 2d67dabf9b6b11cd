"""Where an Arrow IPC file keeps the body of each record batch, read from its footer.

pyarrow tells it only by reading the body. With it, one ranged request fetches a volume from remote storage, straight
into the memory it is to lie in.
"""

from __future__ import annotations

import struct

import pyarrow as pa

from molre.errors import StoreError

_MAGIC = b"ARROW1"
_TAIL = struct.Struct("<i6s")
_BATCHES = 3
"""Place of ``recordBatches`` in the table ``Footer``, counted from 0 (Arrow's format/File.fbs)."""
_BLOCK = struct.Struct("<qi4xq")
"""``Block``: offset of the message, length of its metadata, length of its body (Arrow's format/File.fbs)."""


def bodies(file: pa.NativeFile) -> list[tuple[int, int]]:
    """Offset and length in bytes of the body of each record batch.

    The file ends with the footer (a FlatBuffer), its length, and a magic word
    (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format).

    Raises:
        StoreError: the file does not end like an Arrow file.
    """
    size = file.size()
    length, magic = _TAIL.unpack(file.read_at(_TAIL.size, size - _TAIL.size)) if size > _TAIL.size else (0, b"")
    if magic != _MAGIC or not 0 < length < size - _TAIL.size:
        raise StoreError("the file does not end like an Arrow file")
    try:
        return _blocks(file.read_at(length, size - _TAIL.size - length))
    except struct.error:
        raise StoreError("the footer of the Arrow file is garbled") from None


def _blocks(footer: bytes) -> list[tuple[int, int]]:
    """The vector of blocks in a footer; FlatBuffers reach a field through its table's list of offsets."""
    (table,) = struct.unpack_from("<I", footer)
    (back,) = struct.unpack_from("<i", footer, table)
    (field,) = struct.unpack_from("<H", footer, table - back + 4 + 2 * _BATCHES)
    if not field:
        return []
    vector = table + field + struct.unpack_from("<I", footer, table + field)[0]
    (count,) = struct.unpack_from("<I", footer, vector)
    found = [_BLOCK.unpack_from(footer, vector + 4 + at * _BLOCK.size) for at in range(count)]
    return [(offset + metadata, body) for offset, metadata, body in found]
