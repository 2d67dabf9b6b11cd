"""The page that goes with a bundle: what it is, what it is for, and what it is not, in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from molre.store.inspection import SYNTHETIC

_TEMPLATE = """# {title}

Estimates, for one series of a non-contrast head CT, the probability of each of {findings} findings.
Made with molre {version}{commit}.
{synthetic}
## Intended use

Research: studying how a foundation model adapts to an archive of head CT, and comparing adapters on it.
The probabilities support work on a cohort. They are not advice on a patient.

## Not a medical device

This is not a medical device. It has not been cleared or approved by any authority, nor tested in care. Do not use it
to diagnose, to rule out or to rank patients, and do not show its output where care is decided.

## What it is made of

| part | what |
|---|---|
| backbone | {backbone}, {parameters:,} parameters; weights: {weights} |
| adapter | {adapter} |
| input | grid {grid}: {shape} slices × rows × columns at {spacing} mm; windows {windows} |
| operating points | {thresholds} of {findings} findings have a threshold |
| calibration | {calibration} |

## Data and training

What the training job recorded; anything that is not here is not known.

```json
{provenance}
```

## Figures

Measured on the data above. They say nothing of other scanners, centres, ages or reasons for scanning: measure again on
your own data before you rely on any of them.

```json
{metrics}
```

## Limits

* Findings that the training data did not label, or hardly ever show, have probabilities without meaning.
* Labels taken from reports or from a synthetic cohort carry their source's errors.
* Contrast, implants, motion and paediatric heads are likely to be outside what it has seen.

## Licence

molre's code and the adapter are under Apache-2.0. The backbone has its own: {licence}.
Whoever passes this bundle on, or uses it, has to keep to that licence as well.
"""


_SYNTHETIC = """
**Trained on synthetic scans** that molre draws itself. Its output says nothing about a patient.
"""


def is_synthetic(manifest: Mapping[str, Any]) -> bool:
    """Whether the bundle with this ``bundle.json`` was trained on phantoms."""
    return bool(manifest["provenance"].get("store", {}).get("source") == SYNTHETIC)


def model_card(manifest: dict[str, Any]) -> str:
    """The card of a bundle, as Markdown.

    Args:
        manifest: the content of its ``bundle.json``.
    """
    backbone, grid = manifest["backbone"], manifest["grid"]
    return _TEMPLATE.format(
        title=f"Head CT findings: {backbone['name']} with {manifest['adapter']['kind']}",
        synthetic=_SYNTHETIC if is_synthetic(manifest) else "",
        findings=len(manifest["findings"]),
        version=manifest["molre"],
        commit=f", commit {manifest['commit']}" if manifest["commit"] else "",
        backbone=backbone["name"],
        parameters=backbone["parameters"],
        weights=backbone["weights"]["description"],
        adapter=_adapter(manifest["adapter"]),
        grid=grid["name"],
        shape=" × ".join(map(str, grid["shape"])),
        spacing=" × ".join(map(str, grid["spacing_mm"])),
        windows=", ".join(f"{centre:g}/{width:g} HU" for centre, width in manifest["windows"]["centre_width"]),
        thresholds=len(manifest["thresholds"]),
        calibration=_calibration(manifest["calibration"]),
        provenance=json.dumps(manifest["provenance"], indent=2, sort_keys=True),
        metrics=json.dumps(manifest["metrics"], indent=2, sort_keys=True),
        licence=backbone["licence"],
    )


def _calibration(curves: dict[str, Any]) -> str:
    if not curves:
        return "none; the probabilities are the loss's own and run high for rare findings"
    own = sum(curve["fit"] == "own" for curve in curves.values())
    return (
        f"a scale and a shift a finding, fitted on the validation split: {own} findings have their own, "
        f"{len(curves) - own} share one"
    )


def _adapter(adapter: dict[str, Any]) -> str:
    kind = adapter["kind"]
    if kind == "none":
        return "none; the backbone is frozen, pooling and head are trained"
    if kind == "full":
        return "none; the whole backbone is trained and comes with the bundle"
    experts = f"{adapter['experts']} experts of " if kind == "molre" else ""
    return (
        f"{kind} at {adapter['site']}, {experts}rank {adapter['rank']}: "
        f"{adapter['added_parameters']:,} parameters, {adapter['added_fraction']:.3%} of the backbone"
    )
