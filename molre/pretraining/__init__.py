"""How a backbone comes to know heads without a label: it tells what lies in slices from which patches are hidden."""

from molre.pretraining.config import PHANTOM_SEED, PretrainConfig
from molre.pretraining.run import pretrain

__all__ = ["PHANTOM_SEED", "PretrainConfig", "pretrain"]
