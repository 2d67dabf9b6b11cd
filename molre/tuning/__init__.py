"""Search of an adapter's hyper-parameters: Ray Tune drives trainings that Optuna suggests and ASHA cuts short."""

import optuna

from molre.tuning.config import TuneConfig
from molre.tuning.search import search

__all__ = ["TuneConfig", "search"]

optuna.logging.set_verbosity(optuna.logging.WARNING)  # the search has a line a trial of its own
