"""Intervals of proportions against published figures."""

from molre.evaluation.interval import proportion


def test_wilson_interval_of_a_published_example():
    # 81 of 263: 0.2553 to 0.3662 (Newcombe, Stat Med 1998;17:857-872, table I, method 3).
    share = proportion(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
