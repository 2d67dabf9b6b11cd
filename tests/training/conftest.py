"""What the tests of training share: the jobs of a test, and a long run that nothing disturbed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def jobs():
    """Trainings that a test starts; those still on are killed after it."""
    started = []
    yield started
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def calm(small_store, features, tmp_path_factory):
    """Folder of an undisturbed run on two workers, which the disturbed ones are compared with."""
    from fault_runs import LONG, STEPS, last

    from molre.training.config import TrainConfig
    from molre.training.run import train

    out = tmp_path_factory.mktemp("calm")
    train(TrainConfig(store=small_store, features=features, out=str(out), **LONG))
    assert last(out).progress.taken == STEPS
    return out
