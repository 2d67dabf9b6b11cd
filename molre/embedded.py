"""The embedded phantom cohorts, and the bundle trained on one: what a job runs on when it is told nothing."""

from __future__ import annotations

import dataclasses

from molre.bundle import MANIFEST as BUNDLE
from molre.bundle import SCHEMA, schema_of
from molre.location import Location, home
from molre.pretraining.config import PHANTOM_SEED
from molre.sources.ingest import IngestConfig, ingest
from molre.store import MANIFEST
from molre.training.config import TrainConfig
from molre.training.run import train


def default_store() -> str:
    """The embedded cohort's store; made where it is not there yet."""
    config = IngestConfig()
    if not (Location.of(config.store) / MANIFEST).exists():
        print("no --store: making the embedded phantom cohort", flush=True)
        ingest(config)
    return config.store


def pretraining_store(studies: int) -> str:
    """A store of phantoms to pre-train on, which no other cohort holds; made where it is not there yet.

    Args:
        studies: phantoms to draw; nothing of them is kept for a test.
    """
    folder = Location.of(home()) / "pretrain" / f"phantoms-{studies}"
    config = IngestConfig(studies=studies, seed=PHANTOM_SEED, split=(0.94, 0.06, 0.0), store=(folder / "store").uri)
    if not (Location.of(config.store) / MANIFEST).exists():
        print(f"no --store: making {studies} phantoms to learn from", flush=True)
        ingest(config)
    return config.store


def default_bundle() -> str:
    """The bundle trained on the embedded cohort with the default settings.

    It is made where it is not there yet, and made anew where another molre left one that this one cannot read.
    """
    config = TrainConfig()
    bundle = Location.of(config.out) / "bundle"
    found = schema_of(bundle)
    if found == SCHEMA:
        return bundle.uri
    if (bundle / BUNDLE).exists():
        print(f"the bundle in {bundle} has schema {found}, this molre reads {SCHEMA}: making it anew", flush=True)
    else:
        print("no --bundle: training one on the embedded phantom cohort", flush=True)
    train(dataclasses.replace(config, store=default_store()))
    return bundle.uri
