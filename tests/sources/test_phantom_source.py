"""The phantom cohort is the same files whoever draws them and in whatever order, and its settings are told."""

import hashlib
from pathlib import Path

import pytest

from molre.errors import ConfigError
from molre.phantom import CohortConfig
from molre.sources.ingest import IngestConfig
from molre.sources.phantom import SHOWN, PhantomSource
from molre.sources.registry import source_of

COHORT = CohortConfig(studies=6, seed=4, matrix_px=96)


def source(root):
    return PhantomSource(root=Path(root) / "phantom", cohort=COHORT, sheet=Path(root) / "phantom.png")


def forwards(function, items):
    return ((item, function(item)) for item in items)


def backwards(function, items):
    return ((item, function(item)) for item in reversed(list(items)))


def contents(root):
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("forwards")
    source(root).prepare(forwards)
    return contents(root)


def test_the_files_do_not_depend_on_the_order(written, tmp_path):
    source(tmp_path).prepare(backwards)
    assert contents(tmp_path) == written
    assert len({name.split("/")[2] for name in written if name.startswith("phantom/dicom/")}) == COHORT.studies


@pytest.mark.ray
def test_the_files_do_not_depend_on_the_workers(written, tmp_path, ray_cluster):
    from molre.store.spread import spread

    source(tmp_path).prepare(spread)
    assert contents(tmp_path) == written


def test_a_run_that_was_killed_is_finished_without_drawing_again(written, tmp_path):
    class Killed(Exception):
        pass

    def until_the_fourth(function, items):
        for number, item in enumerate(items):
            if number == 3:
                raise Killed
            yield item, function(item)

    with pytest.raises(Killed):
        source(tmp_path).prepare(until_the_fourth)
    drawn = []

    def counting(function, items):
        items = list(items)
        drawn.extend(items)
        return forwards(function, items)

    source(tmp_path).prepare(counting)
    assert len(drawn) == 3 + len(SHOWN)
    assert contents(tmp_path) == written


def test_the_settings_reach_the_cohort_and_another_cohort_is_refused(tmp_path):
    config = IngestConfig(
        studies=6, seed=4, prevalence=0.5, rarest=0.1, severity=0.9, scanners=("ge_spiral",),
        store=str(tmp_path / "store"), root=str(tmp_path),
    )  # fmt: skip
    cohort = source_of(config).cohort
    assert (cohort.studies, cohort.seed, cohort.prevalence, cohort.rarest, cohort.severity) == (6, 4, 0.5, 0.1, 0.9)
    assert cohort.scanners == ("ge_spiral",)
    (tmp_path / "phantom").mkdir()
    source(tmp_path)._claim()
    other = PhantomSource(root=tmp_path / "phantom", cohort=CohortConfig(studies=7), sheet=tmp_path / "phantom.png")
    with pytest.raises(ConfigError, match="holds another phantom cohort"):
        other._claim()
