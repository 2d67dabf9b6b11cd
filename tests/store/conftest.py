"""An invented cohort, and a store written from it without a cluster."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def invented() -> ModuleType:
    """The module of the invented cohort, sent to workers by value because they cannot import it."""
    from ray import cloudpickle

    name = "invented_cohort"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


@pytest.fixture
def filled(invented, tmp_path, monkeypatch):
    """Fills a store in this process and returns it; the place defaults to one folder a test."""
    from molre.store import fill as filling

    monkeypatch.setattr(filling, "spread", lambda function, items: ((item, function(item)) for item in items))

    def fill(cohort, place=tmp_path / "store", **settings):
        config = filling.FillConfig(grid=invented.GRID, **{"rows_per_part": 4, **settings})
        return filling.fill(cohort, place, config)

    return fill
