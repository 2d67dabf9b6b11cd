"""From a store to torch batches in a Ray Train worker, against a DataLoader, a Ray Data source, and a plain copy.

Everything runs in one Train worker, in rounds, so that each loader meets the same machine. As a script this file is the
driver of that worker, on a Ray of its own: ``test_loading_speed.py STORE RESULT``.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from molre.findings import label_vector
from molre.location import Location
from molre.store import Manifest, Row, Store
from molre.store.writer import write_index, write_part
from molre.training.examples import Examples
from molre.training.sampler import Sampler
from molre.volume import GRIDS

GRID = GRIDS["head-5mm"]
ROWS, ROWS_PER_PART, BATCH = 352, 16, 16
VOLUME_BYTES = 2 * int(np.prod(GRID.shape))
ROUNDS = 5
LEAST_OF_LOADER, LEAST_OF_RAY_DATA = 1.0, 3.0
COPY, COPY_TWO = "copy, 1 thread", "copy, 2 threads"
OURS, AFRESH = "molre, shuffled", "molre, shuffled, mapped afresh"
LOADERS = {"DataLoader, shuffled, 1 thread": 1, "DataLoader, shuffled, 2 threads": 2}
RAY_DATA = "Ray Data, unshuffled"

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]


@pytest.fixture
def store() -> Iterator[str]:
    """More than 1 GB of volumes on disk; just written, so that the page cache holds them."""
    folder = Path(tempfile.mkdtemp(prefix="molre-loading-"))
    generator = np.random.default_rng(0)
    voxels = generator.integers(-1000, 2000, GRID.shape).astype(np.int16)

    def row(number: int) -> Row:
        return Row(
            hu=voxels + np.int16(number), spacing_mm=GRID.spacing_mm, affine=np.eye(4), labels=label_vector({}),
            split="train", patient=f"p{number}", study=f"s{number}", series=f"r{number}",
        )  # fmt: skip

    place = Location.of(folder)
    starts = range(0, ROWS, ROWS_PER_PART)
    parts = [
        write_part(place, at, GRID, map(row, range(start, start + ROWS_PER_PART))) for at, start in enumerate(starts)
    ]
    index = write_index(place, GRID, parts)
    Manifest(grid=GRID, parts=tuple(parts), index=index, counts={"rows": ROWS}, source="test").write(place)
    yield str(folder)
    shutil.rmtree(folder)


def test_store_to_torch_batches(store, table, tmp_path):
    result = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, __file__, store, str(result)],
        env=os.environ | {"RAY_AUTH_TOKEN_PATH": _token(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert result.exists(), done.stderr[-2000:]
    told = json.loads(result.read_text())
    later = {name: told["epochs"][name][1:] for name in told["epochs"]}
    rates = {name: statistics.median(epoch["rate"] for epoch in epochs) for name, epochs in later.items()}
    loader = max(rates[name] for name in LOADERS)
    rows = [
        [
            name,
            f"{told['epochs'][name][0]['rate']:.2f}",
            f"{rate:.2f}",
            f"{rate / VOLUME_BYTES * 1e9:,.0f}",
            f"{rate / rates[COPY]:.2f}",
            f"{rate / loader:.2f}",
            f"{rate / rates[RAY_DATA]:.1f}",
            f"{told['epochs'][name][0]['faults']:,}",
            f"{statistics.median(epoch['faults'] for epoch in later[name]):,.0f}",
            f"{1e3 * statistics.median(epoch['first_s'] for epoch in later[name]):.0f}",
        ]
        for name, rate in rates.items()
    ]
    header = ["GB/s", "epoch 1", f"later (median of {ROUNDS - 1})", "volumes/s", "/ copy", "/ DataLoader", "/ Ray Data"]
    header += ["page faults, epoch 1", "later", "first batch, ms"]
    title = (
        f"Store to torch batch: {ROWS} x {VOLUME_BYTES / 1e6:.1f} MB, page cache warm, batches of {BATCH}; start-up "
    )
    table(f"{title}(Ray {told['ray_s']:.1f} s, Train worker {told['worker_s']:.1f} s) excluded", header, rows)
    for name in (OURS, AFRESH):
        assert rates[name] >= LEAST_OF_LOADER * loader
        assert rates[name] > LEAST_OF_RAY_DATA * rates[RAY_DATA]


def _token(folder: Path) -> str:
    (folder / "token").write_text("0123456789abcdef" * 4)
    return str(folder / "token")


def drive(store: str, result: str) -> None:
    """Run the worker on a small Ray, and write what it measured."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    folder = tempfile.mkdtemp(prefix="molre-ray-", dir="/tmp")
    begun = time.time()
    # One CPU for the Train worker, two for Ray Data's tasks.
    ray.init(num_cpus=3, object_store_memory=2 * 10**9, include_dashboard=False, _temp_dir=folder)
    ray_s = time.time() - begun
    try:
        TorchTrainer(
            work,
            train_loop_config={"store": store, "result": result, "begun": time.time(), "ray_s": ray_s},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=1, use_gpu=False),
            run_config=RunConfig(storage_path=folder),
            datasets={"train": ray_data(store)},
        ).fit()
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def ray_data(store: str) -> Any:
    """A straightforward Ray Data source of the same files: each read as a table, of which ``hu`` is kept."""
    import ray.data
    from ray.data.datasource import FileBasedDatasource

    class Source(FileBasedDatasource):
        _FILE_EXTENSIONS = ("arrow",)

        def _open_input_source(self, filesystem: Any, path: str, **_: Any) -> Any:
            return filesystem.open_input_file(path)

        def _read_stream(self, f: Any, path: str) -> Iterator[pa.Table]:
            yield pa.ipc.open_file(f).read_all().select(["hu"])

    return ray.data.read_datasource(Source(sorted(str(file) for file in Path(store).glob("part-*.arrow"))))


def work(told: dict[str, Any]) -> None:
    """What the Train worker does: every loader in every round."""
    import ray.train

    entered = time.time()
    warnings.simplefilter("ignore")
    shard = ray.train.get_dataset_shard("train")
    runners = {
        COPY: _Copy(1),
        COPY_TWO: _Copy(2),
        OURS: _Ours(told["store"]),
        AFRESH: _Ours(told["store"], afresh=True),
        **{name: _Loader(told["store"], threads) for name, threads in LOADERS.items()},
        RAY_DATA: lambda _: (batch["hu"] for batch in shard.iter_torch_batches(batch_size=BATCH)),
    }
    epochs: dict[str, list[dict[str, float]]] = {name: [] for name in runners}
    for number in range(ROUNDS):
        for name, runner in runners.items():
            epochs[name].append(measured(runner(number), skip_first=name == RAY_DATA))
    measurements = {"ray_s": told["ray_s"], "worker_s": entered - told["begun"], "epochs": epochs}
    Path(told["result"]).write_text(json.dumps(measurements))


def measured(batches: Iterator[torch.Tensor], *, skip_first: bool) -> dict[str, float]:
    """Rate of an epoch in GB/s, its page faults, and the time to its first batch.

    Nobody looks at the voxels: each loader has written every byte of a batch into this process's memory by the time it
    hands it over, and any look would cost all of them the same. Ray Data starts an execution for each epoch, which is
    left out with the first batch.
    """
    faults, begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
    first = next(batches)
    first_s = time.perf_counter() - begun
    count = len(first)
    del first
    for batch in batches:
        count += len(batch)
        assert batch.shape[1:] == GRID.shape
        assert batch.dtype == torch.int16
    assert count == ROWS
    taken_s, counted = time.perf_counter() - begun, count
    if skip_first:
        taken_s, counted = taken_s - first_s, count - BATCH
    return {
        "rate": counted * VOLUME_BYTES / taken_s / 1e9,
        "first_s": first_s,
        "faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults,
    }


class _Copy:
    """What the machine can do: volumes in random order from one warm array to another, both larger than any cache."""

    def __init__(self, threads: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._source = np.ones((ROWS, *GRID.shape), np.int16)
        self._target = np.ones((3, BATCH, *GRID.shape), np.int16)
        self._threads, self._pool = threads, ThreadPoolExecutor(threads)

    def __call__(self, number: int) -> Iterator[torch.Tensor]:
        order = np.random.default_rng(number).permutation(ROWS).reshape(-1, BATCH)
        for at, rows in enumerate(order):
            target = self._target[at % 3]
            if self._threads == 1:
                self._copy(rows, target)
            else:
                halves = zip(np.split(rows, self._threads), np.split(target, self._threads), strict=True)
                for copied in [self._pool.submit(self._copy, *half) for half in halves]:
                    copied.result()
            yield torch.from_numpy(target)

    def _copy(self, rows: np.ndarray, target: np.ndarray) -> None:
        for place, row in enumerate(rows):
            np.copyto(target[place], self._source[row])


class _Ours:
    """The path of training: labels and slice masks come with the volumes.

    The first epoch of a store larger than memory allows to stay mapped is ``afresh`` all the way: each page of the map
    is met for the first time, while the buffers were filled before.
    """

    def __init__(self, store: str, *, afresh: bool = False) -> None:
        self._examples, self._afresh = Examples(Store.open(store), None, torch.device("cpu")), afresh

    def __call__(self, number: int) -> Iterator[torch.Tensor]:
        if self._afresh:
            self._examples.store._parts._mapped.clear()
        steps = Sampler(count=ROWS, batch_size=BATCH, seed=0).epoch(number)
        return (batch.hu for batch in self._examples.batches(steps))


class _Loader:
    """A map-style dataset of views of the mapped files, which are made beforehand, and the default collation.

    Ray Train gives its worker one thread of torch's; a process of its own would have as many as cores, which collate
    faster where the cores are idle, and slower where they are not.
    """

    def __init__(self, store: str, threads: int) -> None:
        self._threads = threads
        self._views = [view for file in sorted(Path(store).glob("part-*.arrow")) for view in self._mapped(file)]

    def _mapped(self, file: Path) -> Iterator[np.ndarray]:
        reader = pa.ipc.open_file(pa.memory_map(str(file)))
        for at in range(reader.num_record_batches):
            values = reader.get_batch(at).column(0).storage.values
            yield np.frombuffer(values.buffers()[1], np.int16).reshape(GRID.shape)

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, row: int) -> torch.Tensor:
        return torch.from_numpy(self._views[row])

    def __call__(self, number: int) -> Iterator[torch.Tensor]:
        generator, threads = torch.Generator().manual_seed(number), torch.get_num_threads()
        torch.set_num_threads(self._threads)
        yield from torch.utils.data.DataLoader(self, batch_size=BATCH, shuffle=True, generator=generator)
        torch.set_num_threads(threads)


if __name__ == "__main__":
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules["__main__"])
    drive(*sys.argv[1:])
