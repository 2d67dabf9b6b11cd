"""What a threshold does: sensitivity and specificity of the calls that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, Int8

from molre.evaluation.interval import proportion


def operating_point(
    labels: Int8[np.ndarray, "rows"], probabilities: Float32[np.ndarray, "rows"], threshold: float
) -> dict[str, Any]:
    """Sensitivity and specificity where ``probability >= threshold`` counts as positive.

    The threshold is taken as given: the Wilson intervals hold for one that was chosen on other patients.
    """
    flagged = probabilities >= np.float32(threshold)
    sick, well = labels == 1, labels == 0
    sensitivity = proportion(int((flagged & sick).sum()), int(sick.sum()))
    specificity = proportion(int((~flagged & well).sum()), int(well.sum()))
    return {"sensitivity": sensitivity.to_json(), "specificity": specificity.to_json()}
