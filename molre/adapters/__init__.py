"""Small trained additions to a frozen classifier. Importing this package makes MOLRE and BOTTLENECK known to PEFT."""

from molre.adapters.attachment import Adapted, attach, planned_for, route
from molre.adapters.bottleneck import BottleneckConv2d, BottleneckConv3d, BottleneckLinear
from molre.adapters.budget import Plan
from molre.adapters.config import AdapterConfig, BottleneckConfig, Gate, MolreConfig
from molre.adapters.gates import GateFigures, GateMeter, record_gates
from molre.adapters.mixture import MolreConv2d, MolreConv3d, MolreLinear
from molre.adapters.model import BottleneckModel, MolreModel

__all__ = [
    "Adapted",
    "AdapterConfig",
    "BottleneckConfig",
    "BottleneckConv2d",
    "BottleneckConv3d",
    "BottleneckLinear",
    "BottleneckModel",
    "Gate",
    "GateFigures",
    "GateMeter",
    "MolreConfig",
    "MolreConv2d",
    "MolreConv3d",
    "MolreLinear",
    "MolreModel",
    "Plan",
    "attach",
    "planned_for",
    "record_gates",
    "route",
]
