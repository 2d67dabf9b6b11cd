"""Ray Tune's own searcher and scheduler, told by the ledger what an earlier search found."""

import optuna
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from molre.training.validation import BEST
from molre.tuning import ledger
from molre.tuning.config import TuneConfig
from molre.tuning.ledger import Record
from molre.tuning.search import _remind
from molre.tuning.space import space_of
from molre.volume import Grid

GRID = Grid(name="small", shape=(6, 112, 112), spacing_mm=(20.0, 2.0, 2.0))


def test_the_searcher_asks_through_the_space_and_numbers_go_on(tmp_path):
    space = space_of(TuneConfig(out=str(tmp_path)), GRID)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    chosen = space(drawn)["chosen"]
    known = [Record(number=0, params=drawn.params, chosen=chosen, status="FINISHED", score=0.8)]
    storage = ledger.study_of(known, {0: drawn.distributions})
    searcher = OptunaSearch(space=space, metric=BEST, mode="max", storage=storage, study_name=ledger.STUDY,
                            sampler=optuna.samplers.TPESampler(seed=0))  # fmt: skip
    found = searcher.suggest("a")
    assert found["number"] == 1
    assert set(found["chosen"]) == set(chosen)
    searcher.on_trial_complete("a", {BEST: 0.9})
    assert optuna.load_study(study_name=ledger.STUDY, storage=storage).best_value == 0.9


def test_the_scheduler_stops_what_is_worse_than_trials_before(tmp_path):
    scheduler = ASHAScheduler(time_attr="epoch", metric=BEST, mode="max", max_t=40, grace_period=10, reduction_factor=2)
    _remind(scheduler, [Record(number=n, params={}, chosen={}, history=[[10.0, 0.8], [20.0, 0.9]]) for n in range(3)])

    class New:
        trial_id = "new"

    scheduler.on_trial_add(None, New)
    assert scheduler.on_trial_result(None, New, {"epoch": 10.0, BEST: 0.7}) == "STOP"
