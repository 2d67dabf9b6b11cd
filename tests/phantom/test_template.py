"""The standard head, drawn anew: elsewhere it comes from its cache, where neither its shapes nor its bytes are seen."""

import numpy as np

from molre.phantom import template


def test_the_head_in_the_cache_is_the_one_that_is_drawn():
    drawn, cached = template._build(), template.template()
    for name in ("structure", "direction", "near", "sulci", "noise"):
        assert np.array_equal(drawn[name], getattr(cached, name))
    for name, distance in cached.distances.items():
        assert np.array_equal(drawn[name], distance)
