"""Frozen slice features of a whole store, computed once by Ray Data and held as Arrow.

One file a store part: ``features-00000.arrow`` holds, a row a series and a record batch a series, ``features`` float16
(slices, width) and ``mask`` (which slices take part in pooling). ``features.json`` comes last and makes them complete;
a run that was killed keeps the files it finished.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
import torch
from jaxtyping import Bool, Float, Int

from molre.backbones import build, fingerprint, spec_named
from molre.classifier import Classifier, slice_mask
from molre.cluster import offer
from molre.errors import ConfigError, StoreError
from molre.location import Location
from molre.store import MANIFEST, Store
from molre.store.integrity import digest

FEATURES = "features.json"
TELL_EVERY_S = 5.0
"""Time between two lines of progress."""
CHUNK_STUDIES = 4
"""Studies a forward pass takes at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbedConfig:
    """What is embedded, and by what.

    Attributes:
        store: path or URI of the store.
        backbone: registry name.
        weights: as ``molre.backbones.build`` takes them.
        out: path or URI of the features.
        workers: actors that compute; 0 for one a CPU or GPU of the cluster.
    """

    store: str
    backbone: str
    weights: str | None
    out: str
    workers: int = 0


class Features:
    """Complete features, read by row of the store they were made from."""

    def __init__(self, location: Location, manifest: dict[str, Any]) -> None:
        self._location = location
        self.manifest = manifest

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

    def check(self, store: Store, backbone: str) -> None:
        """Refuse features of another store or backbone.

        Raises:
            ConfigError: they are.
        """
        if self.manifest["store"] != store_digest(store):
            raise ConfigError(f"the features at {self.uri} are of another store, or it has changed: make them again")
        if self.manifest["backbone"] != backbone:
            raise ConfigError(f"the features at {self.uri} are of {self.manifest['backbone']}, not of {backbone}")

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

    def read(
        self, rows: Int[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n slices width"], Bool[np.ndarray, "n slices"]]:
        """Features in float32 and slice masks of the given rows."""
        shape = self.manifest["shape"]
        features, mask = np.empty((len(rows), *shape), np.float32), np.empty((len(rows), shape[0]), bool)
        for place, row in enumerate(rows):
            part = int(np.searchsorted(self._first, row, side="right")) - 1
            batch = self._readers[part].get_batch(int(row - self._first[part]))
            features[place] = batch.column(0).storage.flatten().to_numpy().reshape(shape)
            mask[place] = batch.column(1).flatten().to_numpy(zero_copy_only=False)
        return features, mask


class EmbedPart:
    """Computes one store part after another; one a Ray actor.

    Args:
        config: what is embedded.
        store: opened.
    """

    def __init__(self, config: EmbedConfig, store: Store) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        self.store, self.out = store, Location.of(config.out)
        self.classifier = Classifier(build(config.backbone, weights=config.weights)).to(self.device).eval()
        self.first = np.cumsum([0, *(part.rows for part in store.manifest.parts)])

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Write one file of features and tell its name and rows."""
        part = int(row["part"])
        rows = np.arange(self.first[part], self.first[part + 1])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self.schema) as writer:
            for start in range(0, len(rows), CHUNK_STUDIES):
                for batch in self._compute(rows[start : start + CHUNK_STUDIES]):
                    writer.write_batch(batch)
        (self.out / part_name(part)).write_bytes(sink.getvalue().to_pybytes())
        return {"part": part, "studies": len(rows)}

    @property
    def schema(self) -> pa.Schema:
        """Of the files."""
        slices, width = self.store.grid.shape[0], self.classifier.backbone.spec.width
        tensor = pa.fixed_shape_tensor(pa.float16(), (slices, width))
        return pa.schema([("features", tensor), ("mask", pa.list_(pa.bool_(), slices))])

    @torch.inference_mode()
    def _compute(self, rows: Int[np.ndarray, "n"]) -> list[pa.RecordBatch]:
        hu = torch.from_numpy(self.store.volumes(rows))
        mask = slice_mask(hu).numpy()
        features = self.classifier.embed(hu.to(self.device)).float().cpu().numpy().astype(np.float16)
        return [self._batch(one, shown) for one, shown in zip(features, mask, strict=True)]

    def _batch(self, features: Float[np.ndarray, "slices width"], mask: Bool[np.ndarray, "slices"]) -> pa.RecordBatch:
        tensor, kept = self.schema.field(0).type, self.schema.field(1).type
        storage = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.size)
        return pa.record_batch(
            [pa.ExtensionArray.from_storage(tensor, storage), pa.array([mask.tolist()], kept)], schema=self.schema
        )


def part_name(part: int) -> str:
    """File of one part's features."""
    return f"features-{part:05d}.arrow"


def store_digest(store: Store) -> str:
    """What identifies a store's content: the digest of its manifest, which holds those of its parts."""
    return digest(Location.of(store.uri) / MANIFEST)


def embed(config: EmbedConfig) -> Features:
    """Compute the features of a whole store, or what is missing of them.

    Raises:
        StoreError: the store cannot be opened.
        ConfigError: the backbone is unknown, or the folder holds features of something else.
    """
    store, out = Store.open(config.store), Location.of(config.out)
    spec, identity = spec_named(config.backbone), _identity(config, store)
    if (out / FEATURES).exists():
        features = Features.open(out)
        if {key: features.manifest[key] for key in identity} != identity:
            raise ConfigError(f"{out} holds features of another store, backbone or weights: choose another folder")
        return features
    _claim(out, identity)
    have = set(out.names())
    missing = [{"part": at} for at in range(len(store.manifest.parts)) if part_name(at) not in have]
    done = store.rows - sum(store.manifest.parts[row["part"]].rows for row in missing)
    told = time.monotonic()
    for row in _computed(config, store, missing):
        done += row["studies"]
        if done == store.rows or time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"features of {done} of {store.rows} studies", flush=True)
    manifest = {
        **identity,
        "shape": [store.grid.shape[0], spec.width],
        "parts": [{"name": part_name(at), "rows": part.rows} for at, part in enumerate(store.manifest.parts)],
    }
    (out / FEATURES).write_bytes(json.dumps(manifest, indent=2).encode())
    return Features.open(out)


def _identity(config: EmbedConfig, store: Store) -> dict[str, Any]:
    backbone = build(config.backbone, weights=config.weights)
    return {
        "store": store_digest(store),
        "backbone": config.backbone,
        "provenance": backbone.provenance,
        "fingerprint": fingerprint(backbone),
    }


def _claim(out: Location, identity: dict[str, Any]) -> None:
    """Drop unfinished files of something else, so that only files of this store and backbone are kept."""
    claim = out / "claim.json"
    wanted = json.dumps(identity, sort_keys=True).encode()
    if not claim.exists() or claim.read_bytes() != wanted:
        for name in out.names():
            if name.startswith("features-"):
                (out / name).delete()
        claim.write_bytes(wanted)


def _computed(config: EmbedConfig, store: Store, missing: list[dict[str, int]]) -> Any:
    if not missing:
        return []
    there = offer()
    workers = min(config.workers or there.workers, len(missing))
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    dataset = ray.data.from_items(missing, override_num_blocks=len(missing)).map(
        EmbedPart,  # type: ignore[arg-type]
        fn_constructor_args=(config, store),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_gpus=1 if there.gpus else 0,
        num_cpus=0 if there.gpus else 1,
    )
    dataset.context.enable_progress_bars = False
    return dataset.iter_rows()
