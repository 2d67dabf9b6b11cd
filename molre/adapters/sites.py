"""Sites: from a name or regular expression to the layers of a classifier that an adapter wraps."""

from __future__ import annotations

import difflib
import re

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from molre.adapters.layer import Form
from molre.backbones import Backbone
from molre.errors import ConfigError

FEATURE = "feature"
PRESETS = (FEATURE, "last_block", "attention")

Adaptable = nn.Linear | nn.Conv2d | nn.Conv3d


def forms_at(backbone: Backbone, site: str) -> dict[str, Form]:
    """The linear and convolutional layers at a site, by their names in the classifier, in the order of the network.

    Args:
        backbone: not yet adapted; may be without weights.
        site: a preset, or a regular expression matched against whole module names.

    Raises:
        ConfigError: the site is no regular expression, is unknown to the backbone, or matches no such layer.
    """
    pattern = _pattern(backbone, site)
    candidates = _candidates(backbone)
    found = {name: form for name, form in candidates.items() if pattern.fullmatch(name)}
    if not found:
        near = ", ".join(_near(site, candidates))
        raise ConfigError(f"the site {site!r} matches no linear or convolutional layer; near are {near}")
    return found


def target_regex(names: list[str]) -> str:
    """One expression that matches exactly these names, and stays the same when saved and loaded."""
    return "|".join(re.escape(name) for name in names)


def _pattern(backbone: Backbone, site: str) -> re.Pattern[str]:
    if site == FEATURE:
        return re.compile("site")
    if site in PRESETS:
        sites = backbone.sites
        if site not in sites:
            raise ConfigError(f"{backbone.spec.name} has no site {site!r}: choose feature or a regex")
        return re.compile(rf"backbone\.{sites[site]}")
    try:
        return re.compile(site)
    except re.error as fault:
        raise ConfigError(f"the site {site!r} is no regular expression: {fault}") from fault


def _candidates(backbone: Backbone) -> dict[str, Form]:
    """Everything but the head, which is trained as it is, and what nn.MultiheadAttention reads without calling it."""
    within = {
        f"backbone.{name}": Form.of(layer)
        for name, layer in backbone.named_modules()
        if isinstance(layer, Adaptable) and not isinstance(layer, NonDynamicallyQuantizableLinear)
    }
    return within | {"site": Form(inputs=backbone.spec.width, outputs=backbone.spec.width)}


def form_of(name: str) -> str:
    """A module's name with N for every number, the same for the same layer of every block."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "N", name)


def _near(site: str, candidates: dict[str, Form]) -> list[str]:
    forms = list(dict.fromkeys(map(form_of, candidates)))
    return difflib.get_close_matches(site, forms, n=4, cutoff=0.3) or forms[:4]
