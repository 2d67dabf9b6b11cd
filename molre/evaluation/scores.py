"""What was predicted and what was true, a row a series: the table that every metric is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int8, Int64

from molre.errors import ConfigError
from molre.findings import KEYS, UNKNOWN


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Labels and probabilities of a set of series.

    Attributes:
        patients: pseudonym of the patient of each row.
        studies: pseudonym of the study of each row.
        series: pseudonym of the series of each row; unique.
        labels: 1 present, 0 absent, -1 unknown, in the order of ``findings.csv``.
        probabilities: predicted probability of each finding, in [0, 1].
    """

    patients: list[str]
    studies: list[str]
    series: list[str]
    labels: Int8[np.ndarray, "rows findings"]
    probabilities: Float32[np.ndarray, "rows findings"]

    def __post_init__(self) -> None:
        rows = len(self.patients)
        if self.labels.shape != (rows, len(KEYS)) or self.probabilities.shape != (rows, len(KEYS)):
            raise ConfigError(f"labels and probabilities must be {rows} rows of {len(KEYS)} findings")
        if not np.isin(self.labels, (0, 1, UNKNOWN)).all():
            raise ConfigError("labels must be 1, 0 or -1 (unknown)")
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            raise ConfigError("probabilities must lie in [0, 1] and be finite: the bundle's weights may be damaged")
        if len(set(self.series)) != rows:
            raise ConfigError("a series was scored more than once")

    @property
    def clusters(self) -> Int64[np.ndarray, "rows"]:
        """Number of each row's patient, from 0: series of one patient share it."""
        return np.unique(np.asarray(self.patients, dtype=str), return_inverse=True)[1].astype(np.int64)

    def counts(self) -> dict[str, int]:
        """How many patients, studies and series there are."""
        return {"patients": len(set(self.patients)), "studies": len(set(self.studies)), "series": len(self.series)}


def scores_of(
    store: Store, rows: Int64[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows findings"]
) -> Scores:
    """Predictions of some rows of a store beside its labels."""
    table = store.table(["patient", "study", "series"]).take(rows)
    return Scores(
        patients=table["patient"].to_pylist(),
        studies=table["study"].to_pylist(),
        series=table["series"].to_pylist(),
        labels=store.labels()[rows],
        probabilities=probabilities,
    )


def to_parquet(scores: Scores) -> bytes:
    """The table as a Parquet file: patient, study, series, ``label_KEY`` … and ``probability_KEY`` …."""
    columns: dict[str, pa.Array] = {
        "patient": pa.array(scores.patients, pa.string()),
        "study": pa.array(scores.studies, pa.string()),
        "series": pa.array(scores.series, pa.string()),
    }
    columns |= {f"label_{key}": pa.array(scores.labels[:, at]) for at, key in enumerate(KEYS)}
    columns |= {f"probability_{key}": pa.array(scores.probabilities[:, at]) for at, key in enumerate(KEYS)}
    sink = BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def from_parquet(data: bytes) -> Scores:
    """The table that :func:`to_parquet` wrote."""
    table = pq.read_table(BytesIO(data))
    labels = [np.asarray(table[f"label_{key}"].to_numpy(), np.int8) for key in KEYS]
    probabilities = [np.asarray(table[f"probability_{key}"].to_numpy(), np.float32) for key in KEYS]
    return Scores(
        patients=table["patient"].to_pylist(),
        studies=table["study"].to_pylist(),
        series=table["series"].to_pylist(),
        labels=np.stack(labels, axis=1),
        probabilities=np.stack(probabilities, axis=1),
    )
