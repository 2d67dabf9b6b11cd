"""What a search keeps of its trials, and what Optuna, the table and the pictures make of it."""

from io import BytesIO

import matplotlib.image
import numpy as np
import optuna
import pytest

from molre.errors import ConfigError
from molre.tuning import ledger
from molre.tuning.config import TuneConfig
from molre.tuning.heldout import sentence
from molre.tuning.ledger import Record
from molre.tuning.pictures import importance, importances, parallel
from molre.tuning.space import space_of
from molre.tuning.table import best_of, table
from molre.volume import Grid

GRID = Grid(name="small", shape=(6, 112, 112), spacing_mm=(20.0, 2.0, 2.0))


@pytest.fixture
def space(tmp_path):
    return space_of(TuneConfig(out=str(tmp_path)), GRID)


@pytest.fixture
def drawn(space):
    """Trials whose score depends on the learning rate alone, as Optuna drew them."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    found = []
    for _ in range(40):
        trial = study.ask()
        chosen = space(trial)["chosen"]
        score = 0.8 - 0.1 * abs(np.log10(chosen["learning_rate"]) + 2.5)
        found.append(Record(number=trial.number, params=trial.params, chosen=chosen, status="FINISHED",
                            score=float(score), loss=0.1, epochs=40, history=[[40.0, float(score)]]))  # fmt: skip
    return found


def test_records_come_back_as_they_were_written(drawn, tmp_path):
    for each in reversed(drawn[:3]):
        ledger.write(str(tmp_path), each)
    found = ledger.records(str(tmp_path))
    assert [each.number for each in found] == [0, 1, 2]
    assert [each.chosen for each in found] == [each.chosen for each in drawn[:3]]


def test_optuna_remembers_what_was_finished_and_asks_again_for_what_was_not(drawn, space):
    known = [drawn[0], Record(**{**_fields(drawn[1]), "status": "RUNNING"}), drawn[3]]
    asked = {each.number: optuna.trial.FixedTrial(each.params) for each in known}
    for trial in asked.values():
        space(trial)
    storage = ledger.study_of(known, {number: trial.distributions for number, trial in asked.items()})
    study = optuna.load_study(study_name=ledger.STUDY, storage=storage)
    assert {t.number: t.value for t in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))} == {
        0: drawn[0].score,
        3: drawn[3].score,
    }
    again = space(study.ask())
    assert again == {"number": 1, "chosen": drawn[1].chosen}
    assert space(study.ask())["number"] == 4


def test_another_space_is_refused_and_more_trials_are_not(tmp_path):
    ledger.claim(TuneConfig(out=str(tmp_path), trials=4))
    ledger.claim(TuneConfig(out=str(tmp_path), trials=8, resume=True))
    with pytest.raises(ConfigError, match="holds a search with rank"):
        ledger.claim(TuneConfig(out=str(tmp_path), rank=(2,)))
    with pytest.raises(ConfigError, match="no search to resume"):
        ledger.claim(TuneConfig(out=str(tmp_path / "none"), resume=True))


def test_importance_finds_the_setting_that_matters(drawn, space):
    shares = importances(table(drawn, space), space, 0)
    assert max(shares, key=lambda name: shares[name]) == "learning_rate"
    assert shares["learning_rate"] > 0.6
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(table(drawn[:2], space), space, 0) == {}


def test_pictures_are_drawn_of_many_trials_and_of_one(drawn, space):
    for known in (drawn, drawn[:1]):
        rows = table(known, space)
        for picture in (parallel(rows, space), importance(rows, space, 0)):
            pixels = matplotlib.image.imread(BytesIO(picture))
            assert pixels.shape[1] >= 800
            assert pixels[..., :3].std() > 0.01


def test_the_best_is_no_failed_trial(drawn):
    failed = Record(**{**_fields(drawn[0]), "status": "ERROR", "score": 0.99})
    assert best_of([failed, *drawn[1:]]).score == max(each.score for each in drawn[1:])
    assert best_of([failed]) is None


def test_the_sentence_says_when_the_best_does_not_win():
    auc = {"value": 0.7, "low": 0.6, "high": 0.8}

    def said(value, low, high):
        return sentence({"best": auc, "default": auc, "gain": {"value": value, "low": low, "high": high}})

    assert "best 0.700 (0.600 to 0.800), default" in said(0.1, 0.05, 0.15)
    assert "the best settings gain +0.100 (+0.050 to +0.150)" in said(0.1, 0.05, 0.15)
    assert "do not beat the default beyond chance: +0.100 (-0.020 to +0.220)" in said(0.1, -0.02, 0.22)
    assert "do not beat the default beyond chance: -0.100" in said(-0.1, -0.15, 0.05)
    assert "are worse than the default, so the validation split misled: -0.100" in said(-0.1, -0.15, -0.05)
    assert "no finding has both classes" in said(None, None, None)


def _fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
