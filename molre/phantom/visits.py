"""When a patient is scanned."""

from __future__ import annotations

import datetime

import numpy as np

from molre.phantom.config import CohortConfig
from molre.phantom.plan import Plan, make_plan

FIRST_DAY = datetime.date(2010, 1, 1)
DAYS = 3600
"""First visits are spread over some ten years."""


def moment_of(config: CohortConfig, number: int, plan: Plan) -> datetime.datetime:
    """Day and time of a study: later visits of a patient are as much later as the patient is older."""
    rng = np.random.default_rng([config.seed, plan.patient, 22])
    first = FIRST_DAY + datetime.timedelta(days=int(rng.integers(DAYS)))
    older = plan.age_years - make_plan(config, plan.patient).age_years if plan.visit else 0.0
    # A day more for each visit, as ages end at the oldest.
    day = first + datetime.timedelta(days=round(older * 365.25) + plan.visit)
    second = int(np.random.default_rng([config.seed, number, 22]).integers(86_000))
    return datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(seconds=second)
