"""A run in MLflow: begun and ended by the driver, told by rank 0 while it goes on.

OUT holds the id of the MLflow run, so that a run that is taken up again goes on in the same. A server that is not there
at the start is an error; one that goes away later is noted, and what it missed is sent once it is back.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from molre import __version__
from molre.bundle import checkout_commit
from molre.errors import ConfigError, TrainingError
from molre.location import Location
from molre.training.config import TrainConfig
from molre.training.watch import Step, Validation, Watcher

RUN_ID = "mlflow.json"
"""File in OUT that says which MLflow run this is."""

LONGEST_VALUE = 500
"""Characters that a parameter keeps; servers take 6,000, and a longer one is no figure to compare."""

RETRY_S = 20.0
"""Wait between two attempts while the server is away."""
CLOSE_S = 10.0
"""How long the end of a run waits for the server."""
MOST_WAITING = 50_000
"""Figures kept for a server that is away; beyond that the oldest go."""
BATCH = 500
"""Figures a request; the protocol allows 1,000."""


def _client(config: TrainConfig) -> Any:
    """A client that gives up within seconds and reports nothing about its use.

    Raises:
        ConfigError: mlflow is not installed.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise ConfigError("--mlflow needs the package mlflow: pip install 'molre[mlflow]'") from None
    return MlflowClient(tracking_uri=config.mlflow)


def _faults() -> tuple[type[Exception], ...]:
    """What the client raises when the server is away or refuses."""
    from mlflow.exceptions import MlflowException

    return MlflowException, OSError


class Record:
    """The MLflow run of a training, on the driver's side.

    Args:
        config: of the run, with ``mlflow`` set.

    Raises:
        ConfigError: mlflow is not installed, or the server cannot be used.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config, self._client = config, _client(config)
        try:
            self._run_id = self._resumed() or self._begun()
        except _faults() as fault:
            raise ConfigError(f"cannot use the MLflow server at {config.mlflow}: {_short(fault)}") from None

    def _resumed(self) -> str | None:
        saved = run_id(self.config)
        if saved is None:
            return None
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(saved)
        except MlflowException as fault:
            if fault.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            print("note: this MLflow server does not know the run of OUT; a new one begins", flush=True)
            return None
        self._client.update_run(saved, status="RUNNING")
        for key, value in flattened(dataclasses.asdict(self.config)).items():
            if run.data.params.get(key) != value:  # parameters of a run cannot be changed
                self._client.set_tag(saved, f"resumed.{key}", value)
        return saved

    def _begun(self) -> str:
        from mlflow.entities import Param, RunTag

        name = self.config.experiment
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        run = self._client.create_run(experiment, run_name=self.config.name)
        (Location.of(self.config.out) / RUN_ID).write_bytes(json.dumps({"run_id": run.info.run_id}).encode())
        told = flattened(dataclasses.asdict(self.config))
        self._client.log_batch(
            run.info.run_id,
            params=[Param(key, value) for key, value in told.items()],
            tags=[RunTag(key, value) for key, value in versions().items()],
        )
        return str(run.info.run_id)

    def add(self, told: Mapping[str, Any], files: Mapping[str, str]) -> None:
        """Final figures, what the summary says, and files such as the curves; a server that is away misses them.

        Args:
            told: as in ``summary.json``; numbers under ``metrics`` become metrics.
            files: place by name.
        """
        with self._noted("the summary"), tempfile.TemporaryDirectory() as folder:
            for name, place in files.items():
                (Path(folder) / name).write_bytes(Location.of(place).read_bytes())
            (Path(folder) / "summary.json").write_text(json.dumps(told, indent=2))
            self._client.log_artifacts(self._run_id, folder)
            for key, value in _numbers(told.get("metrics", {})).items():
                self._client.log_metric(self._run_id, f"final/{key}", value)

    def end(self, status: str) -> None:
        """The run is over: FINISHED, FAILED or KILLED."""
        with self._noted("the end of the run"):
            self._client.set_terminated(self._run_id, status)

    @contextlib.contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        try:
            yield
        except _faults() as fault:
            print(f"note: MLflow missed {what} ({_short(fault)})", flush=True)


@contextlib.contextmanager
def tracked(config: TrainConfig) -> Iterator[Record | None]:
    """The run's record while the block runs, ended as the block ends; None without a server."""
    if config.mlflow is None:
        yield None
        return
    record = Record(config)
    status = "FAILED"
    try:
        yield record
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        record.end(status)


def added_later(config: TrainConfig, told: Mapping[str, Any]) -> None:
    """Tell MLflow what became known after the run's end, such as figures of the test split.

    Args:
        config: as ``train`` was given it.
        told: what the summary says.
    """
    if config.mlflow is None:
        return
    try:
        record = Record(config)
    except ConfigError as fault:
        print(f"note: MLflow missed the summary ({fault})", flush=True)
        return
    record.add(told, {})
    record.end("FINISHED")


def run_id(config: TrainConfig) -> str | None:
    """Which MLflow run the folder is of."""
    try:
        return str(json.loads((Location.of(config.out) / RUN_ID).read_bytes())["run_id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise TrainingError(f"{config.out}/{RUN_ID} cannot be read: delete it, and a new MLflow run begins") from None


class Tracker(Watcher):
    """Tells MLflow of steps and validations, from a thread of its own so that no step waits for the server.

    Args:
        config: of the run, with ``mlflow`` set.
        run: id of the MLflow run.
    """

    def __init__(self, config: TrainConfig, run: str) -> None:
        self._config, self._run = config, run
        self._waiting: collections.deque[tuple[str, float, int, int]] = collections.deque(maxlen=MOST_WAITING)
        self._news, self._closing, self._away = threading.Event(), threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, config: TrainConfig) -> Tracker:
        """For the run that the driver began."""
        run = run_id(config)
        assert run is not None
        return cls(config, run)

    def step(self, step: Step) -> None:
        """Loss, learning rate and pace."""
        self._tell(
            step.taken,
            {
                "train/loss": step.loss,
                "train/learning_rate": step.learning_rate,
                "train/studies_per_second": step.studies_per_second,
                "train/studies": float(step.seen),
            },
        )

    def validation(self, validation: Validation) -> None:
        """The score, the loss of the epoch, and what the routers do."""
        told = {"validation/epoch": float(validation.epoch), "validation/train_loss": validation.loss}
        if validation.mean_auc is not None:
            told["validation/mean_auc"] = validation.mean_auc
        for site, figures in validation.gates.items():
            name = re.sub(r"[^\w./: -]", "_", site)
            told |= {f"gates/entropy/{name}": figures["entropy"], f"gates/effective/{name}": figures["effective"]}
        self._tell(validation.taken, told)

    def close(self) -> None:
        """Send what is left, within seconds."""
        self._closing.set()
        self._news.set()
        self._thread.join(CLOSE_S)
        if self._waiting:
            print(f"note: MLflow missed {len(self._waiting)} figures", flush=True)

    def _tell(self, step: int, figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._waiting.extend((key, value, now, step) for key, value in figures.items())
        self._news.set()

    def _work(self) -> None:
        try:
            client = _client(self._config)
        except ConfigError as fault:
            print(f"note: {fault}, on the node where rank 0 is", flush=True)
            return
        while not self._closing.is_set() or self._waiting:
            self._news.wait()
            self._news.clear()
            while self._waiting:
                last = self._closing.is_set()
                if not self._sent(client):
                    if last:
                        return
                    self._closing.wait(RETRY_S)

    def _sent(self, client: Any) -> bool:
        """Whether the server took some figures."""
        from mlflow.entities import Metric

        some = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            client.log_batch(self._run, metrics=[Metric(*each) for each in some])
        except _faults() as fault:
            self._waiting.extendleft(reversed(some))
            if not self._away:
                print(f"note: MLflow is away ({_short(fault)}); training goes on", flush=True)
            self._away = True
            return False
        if self._away:
            print("note: MLflow is back", flush=True)
        self._away = False
        return True


def flattened(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as MLflow's parameters: text, and not too long."""
    return {key: text if len(text := str(value)) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
            for key, value in values.items()}  # fmt: skip


def versions() -> dict[str, str]:
    """What code runs here: the package's version, its commit where it lies in a repository, and what it stands on."""
    commit = checkout_commit()
    packages = {name: version(name) for name in ("torch", "ray", "deepspeed")}
    return {"molre": __version__, **packages, **({"mlflow.source.git.commit": commit} if commit else {})}


def _numbers(values: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """Every number of a nested mapping, by its path."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{before}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{before}{key}"] = float(value)
    return found


def _short(fault: Exception) -> str:
    """A fault of the client in a few words: the innermost cause that it names, without the request."""
    text = " ".join(str(fault).split())
    for said in ("Connection refused", "Name or service not known", "timed out", "Max retries exceeded"):
        if said in text:
            return said.lower()
    return text[:200]
