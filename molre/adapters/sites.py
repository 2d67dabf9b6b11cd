"""Sites: from a name or regular expression to the linear layers of a classifier that an adapter wraps."""

from __future__ import annotations

import difflib
import re

from torch import nn

from molre.classifier import Classifier
from molre.errors import ConfigError

FEATURE = "feature"
PRESETS = (FEATURE, "last_block", "attention")


def modules_at(classifier: Classifier, site: str) -> dict[str, nn.Linear]:
    """The linear layers at a site, by module name, in the order of the network.

    Args:
        classifier: not yet adapted.
        site: a preset, or a regular expression matched against whole module names.

    Raises:
        ConfigError: the site is no regular expression, is unknown to the backbone, or matches no linear layer.
    """
    pattern = _pattern(classifier, site)
    candidates = _candidates(classifier)
    found = {name: layer for name, layer in candidates.items() if pattern.fullmatch(name)}
    if not found:
        raise ConfigError(f"the site {site!r} matches no linear layer; near are {', '.join(_near(site, candidates))}")
    return found


def target_regex(names: list[str]) -> str:
    """One expression that matches exactly these names, and stays the same when saved and loaded."""
    return "|".join(re.escape(name) for name in names)


def _pattern(classifier: Classifier, site: str) -> re.Pattern[str]:
    if site == FEATURE:
        return re.compile("site")
    if site in PRESETS:
        sites = classifier.backbone.sites
        if site not in sites:
            raise ConfigError(f"{classifier.backbone.spec.name} has no site {site!r}: choose feature or a regex")
        return re.compile(rf"backbone\.{sites[site]}")
    try:
        return re.compile(site)
    except re.error as fault:
        raise ConfigError(f"the site {site!r} is no regular expression: {fault}") from fault


def _candidates(classifier: Classifier) -> dict[str, nn.Linear]:
    """Everything but the head, which is trained as it is."""
    return {
        name: layer
        for name, layer in classifier.named_modules()
        if isinstance(layer, nn.Linear) and (name == "site" or name.startswith("backbone."))
    }


def _near(site: str, candidates: dict[str, nn.Linear]) -> list[str]:
    forms = list(dict.fromkeys(re.sub(r"\.\d+\.", r".N.", name) for name in candidates))
    return difflib.get_close_matches(site, forms, n=4, cutoff=0.3) or forms[:4]
