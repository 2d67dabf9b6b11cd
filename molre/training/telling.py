"""What is said when a run is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molre.findings import KEYS
from molre.training.lines import duration


def in_short(told: Mapping[str, Any], seconds: float) -> str:
    """The result in a few lines, a word before each, and the command that comes next.

    Args:
        told: as ``train`` returns it.
        seconds: that this process took, evaluation included.
    """
    best, files = told["metrics"]["val"], told["files"]
    pace = f"{told['studies_seen']:,} studies in {told['epochs']} epochs, {told['studies_per_second']:.3g} studies/s"
    lines = [("trained", f"{pace}; {duration(seconds)} in all"), ("best", _best(best))]
    lines += [(name.removesuffix(".png"), place) for name, place in files.items()]
    lines.append(("serve", f"python jobs/serve.py --bundle {told['bundle']}"))
    return "\n".join(f"{word:<9}{rest}" for word, rest in lines)


def _best(best: Mapping[str, Any]) -> str:
    if best["mean_auc"] is None:
        return "no finding has both classes in the validation split"
    area, findings = f"validation mean AUC {best['mean_auc']:.3f}", f"{best['findings']} of {len(KEYS)} findings"
    return f"{area} ({findings}) after epoch {best['epoch']}"
