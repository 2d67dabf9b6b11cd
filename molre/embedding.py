"""Frozen features of a whole store, computed once by Ray Data and held as Arrow.

Features lie in a folder named by what they depend on: the store, the backbone, the SHA-256 of its weights, its windows
and input, and the grid. One file a store part: ``features-00000.arrow`` holds, a row a series and a record batch a
series, ``features`` float32 (rows, width), a row a slice in 2D and one a volume in 3D, and ``mask`` (which rows take
part in pooling). ``features.json`` comes last and makes them complete; a run that was killed keeps the files it
finished.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
import torch
from jaxtyping import Bool, Float, Int

from molre.backbones import Backbone, build
from molre.classifier import MEMORY_MIB, Classifier, shortcomings
from molre.cluster import offer
from molre.errors import ConfigError, StoreError
from molre.location import Location
from molre.outcome import caught, given
from molre.store import MANIFEST, Store
from molre.store.integrity import digest

FEATURES = "features.json"
TELL_EVERY_S = 5.0
"""Time between two lines of progress."""
READ_STUDIES = 4
"""Studies read at once; what of them passes through the backbone at once is the memory setting's to say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedConfig:
    """What is embedded, and by what.

    Attributes:
        store: path or URI of the store.
        backbone: registry name.
        weights: as ``molre.backbones.build`` takes them.
        out: path or URI of the folder below which features lie by what they depend on.
        workers: actors that compute; 0 for one a CPU or GPU of the cluster.
        memory_mib: what a forward pass may take beyond the weights, in each worker.
        remote_code: run code that comes with the weights.
    """

    store: str
    backbone: str
    weights: str | None
    out: str
    workers: int = 0
    memory_mib: float = MEMORY_MIB
    remote_code: bool = False


class Features:
    """Complete features, read by row of the store they were made from."""

    def __init__(self, location: Location, manifest: dict[str, Any]) -> None:
        self._location = location
        self.manifest = manifest
        self._views = dict[int, tuple[np.ndarray, np.ndarray]]()

    @classmethod
    def open(cls, place: str | Location) -> Features:
        """Open features.

        Raises:
            StoreError: they are absent or incomplete.
        """
        location = Location.of(place)
        try:
            manifest = json.loads((location / FEATURES).read_bytes())
        except FileNotFoundError:
            raise StoreError(f"there are no complete features at {location}: make them with jobs/embed.py") from None
        except ValueError:
            raise StoreError(f"{location}/{FEATURES} cannot be read: delete it and run jobs/embed.py again") from None
        return cls(location, manifest)

    @property
    def uri(self) -> str:
        """Where they are."""
        return self._location.uri

    @cached_property
    def _first(self) -> Int[np.ndarray, "parts"]:
        return np.cumsum([0, *(part["rows"] for part in self.manifest["parts"])])

    @cached_property
    def _readers(self) -> list[pa.RecordBatchFileReader]:
        """Every file open: mapped where local, fetched once where remote (features are small beside voxels)."""
        readers = []
        for part in self.manifest["parts"]:
            where = self._location / part["name"]
            source = pa.memory_map(where.path) if where.local else pa.py_buffer(where.read_bytes())
            readers.append(pa.ipc.open_file(source))
        return readers

    def read(self, rows: Int[np.ndarray, "n"]) -> tuple[Float[np.ndarray, "n rows width"], Bool[np.ndarray, "n rows"]]:
        """Features and masks of the given rows of the store."""
        shape = self.manifest["shape"]
        features, mask = np.empty((len(rows), *shape), np.float32), np.empty((len(rows), shape[0]), bool)
        for place, row in enumerate(rows.tolist()):
            features[place], mask[place] = self._views.get(row) or self._view(row)
        return features, mask

    def _view(self, row: int) -> tuple[Float[np.ndarray, "rows width"], Bool[np.ndarray, "rows"]]:
        """One row, kept for the next epoch: finding it in Arrow takes longer than a small step's arithmetic."""
        part = int(np.searchsorted(self._first, row, side="right")) - 1
        batch = self._readers[part].get_batch(row - int(self._first[part]))
        features = batch.column(0).storage.flatten().to_numpy().reshape(self.manifest["shape"])
        self._views[row] = found = features, batch.column(1).flatten().to_numpy(zero_copy_only=False)
        return found


class EmbedPart:
    """Computes one store part after another; one a Ray actor.

    Args:
        config: what is embedded.
        store: opened.
        out: where the files go.
    """

    def __init__(self, config: EmbedConfig, store: Store, out: str) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        self.store, self.out = store, Location.of(out)
        backbone = build(config.backbone, weights=config.weights, remote_code=config.remote_code)
        self.classifier = Classifier(backbone, grid=store.grid, memory_mib=config.memory_mib).to(self.device).eval()
        self.first = np.cumsum([0, *(part.rows for part in store.manifest.parts)])

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Write one file of features; the outcome is its number of studies."""
        return {"outcome": caught(self._write, int(row["part"]))}

    def _write(self, part: int) -> int:
        rows = np.arange(self.first[part], self.first[part + 1])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self.schema) as writer:
            for start in range(0, len(rows), READ_STUDIES):
                for batch in self._compute(rows[start : start + READ_STUDIES]):
                    writer.write_batch(batch)
        (self.out / part_name(part)).write_bytes(sink.getvalue().to_pybytes())
        return len(rows)

    @property
    def schema(self) -> pa.Schema:
        """Of the files."""
        rows, width = feature_shape(self.classifier.backbone, self.store)
        tensor = pa.fixed_shape_tensor(pa.float32(), (rows, width))
        return pa.schema([("features", tensor), ("mask", pa.list_(pa.bool_(), rows))])

    @torch.inference_mode()
    def _compute(self, rows: Int[np.ndarray, "n"]) -> list[pa.RecordBatch]:
        hu = torch.from_numpy(self.store.volumes(rows)).to(self.device)
        mask = self.classifier.shown(hu).cpu().numpy()
        features = self.classifier.embed(hu).float().cpu().numpy()
        return [self._batch(one, shown) for one, shown in zip(features, mask, strict=True)]

    def _batch(self, features: Float[np.ndarray, "rows width"], mask: Bool[np.ndarray, "rows"]) -> pa.RecordBatch:
        tensor, kept = self.schema.field(0).type, self.schema.field(1).type
        storage = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.size)
        return pa.record_batch(
            [pa.ExtensionArray.from_storage(tensor, storage), pa.array([mask.tolist()], kept)], schema=self.schema
        )


def feature_shape(backbone: Backbone, store: Store) -> tuple[int, int]:
    """Rows and width of a volume's features."""
    return (store.grid.shape[0] if backbone.spec.dims == 2 else 1), backbone.spec.width


def part_name(part: int) -> str:
    """File of one part's features."""
    return f"features-{part:05d}.arrow"


def store_digest(store: Store) -> str:
    """What identifies a store's content: the digest of its manifest, which holds those of its parts."""
    return digest(Location.of(store.uri) / MANIFEST)


def embed(config: EmbedConfig) -> Features:
    """Compute the features of a whole store, or what is missing of them.

    Raises:
        StoreError: the store, or a part of it, cannot be read.
        ConfigError: the backbone is unknown, or does not fit the store's grid.
    """
    store = Store.open(config.store)
    backbone = build(config.backbone, weights=config.weights, remote_code=config.remote_code)
    for told in shortcomings(backbone.spec, store.grid):
        print(f"note: {told}", flush=True)
    identity = identity_of(backbone, store)
    out = _folder(Location.of(config.out), config.backbone, identity)
    if (out / FEATURES).exists():
        return Features.open(out)
    shape, provenance = feature_shape(backbone, store), backbone.provenance
    del backbone  # the workers load their own
    have = set(out.names())
    missing = [{"part": at} for at in range(len(store.manifest.parts)) if part_name(at) not in have]
    done = store.rows - sum(store.manifest.parts[row["part"]].rows for row in missing)
    told_at = time.monotonic()
    for row in _computed(config, store, out.uri, missing):
        done += given(row["outcome"])
        if done == store.rows or time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            print(f"features of {done} of {store.rows} studies", flush=True)
    manifest = {
        **identity,
        "provenance": provenance,
        "shape": list(shape),
        "parts": [{"name": part_name(at), "rows": part.rows} for at, part in enumerate(store.manifest.parts)],
    }
    (out / FEATURES).write_bytes(json.dumps(manifest, indent=2).encode())
    return Features.open(out)


def identity_of(backbone: Backbone, store: Store) -> dict[str, Any]:
    """Everything that features depend on, as JSON values."""
    spec = backbone.spec
    identity = {
        "store": store_digest(store),
        "backbone": spec.name,
        "weights_sha256": backbone.provenance["fingerprint"],
        "windows": asdict(spec.windows),
        "input": asdict(spec.input),
        "grid": asdict(store.grid),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def _folder(root: Location, backbone: str, identity: dict[str, Any]) -> Location:
    """Where these features lie below a folder, or the folder itself where it holds them."""
    if (root / FEATURES).exists():
        held = Features.open(root).manifest
        wrong = [key for key, value in identity.items() if held.get(key) != value]
        if wrong:
            raise ConfigError(
                f"the features at {root.uri} are of another {wrong[0].replace('_', ' ')}: make them with jobs/embed.py"
            )
        return root
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return root / f"{backbone}-{key[:16]}"


def _computed(config: EmbedConfig, store: Store, out: str, missing: list[dict[str, int]]) -> Any:
    if not missing:
        return []
    there = offer()
    workers = min(config.workers or there.workers, len(missing))
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    dataset = ray.data.from_items(missing, override_num_blocks=len(missing)).map(
        EmbedPart,  # type: ignore[arg-type]
        fn_constructor_args=(config, store, out),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_gpus=1 if there.gpus else 0,
        num_cpus=0 if there.gpus else 1,
    )
    dataset.context.enable_progress_bars = False
    return dataset.iter_rows()
