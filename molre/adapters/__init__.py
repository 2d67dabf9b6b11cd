"""Small trained additions to a frozen classifier. Importing this package makes MOLRE and BOTTLENECK known to PEFT."""

from molre.adapters.attachment import Adapted, attach
from molre.adapters.config import AdapterConfig, BottleneckConfig, MolreConfig
from molre.adapters.gates import record_gates
from molre.adapters.layer import BottleneckLinear, MolreLinear
from molre.adapters.model import BottleneckModel, MolreModel

__all__ = [
    "Adapted",
    "AdapterConfig",
    "BottleneckConfig",
    "BottleneckLinear",
    "BottleneckModel",
    "MolreConfig",
    "MolreLinear",
    "MolreModel",
    "attach",
    "record_gates",
]
