"""Corrections for many tests against their definitions."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from molre.evaluation.multiplicity import benjamini_hochberg, holm

P = st.lists(st.floats(0, 1), min_size=1, max_size=7).map(np.array)


@settings(max_examples=60, deadline=None)
@given(P)
def test_holm_is_the_closed_test_of_bonferroni(p):
    for at, adjusted in enumerate(holm(p)):
        families = (
            family for size in range(1, len(p) + 1) for family in combinations(range(len(p)), size) if at in family
        )
        wanted = max(min(1.0, len(family) * p[list(family)].min()) for family in families)
        assert np.isclose(adjusted, wanted, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(P)
def test_benjamini_hochberg_claims_what_its_rule_claims(p):
    ordered = np.sort(p)
    for at, adjusted in enumerate(benjamini_hochberg(p)):
        # The least level at which some rank k >= rank(p) has p_(k) <= k / m x level.
        wanted = min(ordered[k] * len(p) / (k + 1) for k in range(len(p)) if ordered[k] >= p[at])
        assert np.isclose(adjusted, min(1.0, wanted), atol=1e-12)


def test_no_test_needs_no_correction():
    assert len(holm(np.empty(0))) == len(benjamini_hochberg(np.empty(0))) == 0
