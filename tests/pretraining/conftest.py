import pytest
import torch

from molre.backbones import build
from molre.pretraining.bands import BANDS
from molre.pretraining.objective import Objective


@pytest.fixture(scope="session")
def objective() -> Objective:
    """The objective around a small random network."""
    torch.manual_seed(0)
    return Objective(build("dinov3-tiny", weights="random"), torch.ones(len(BANDS)))


@pytest.fixture
def slices() -> torch.Tensor:
    """Three noisy discs of brain in air."""
    generator = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 112), torch.linspace(-1, 1, 112), indexing="ij")
    brain = 35 + 4 * torch.randn(3, 112, 112, generator=generator)
    return torch.where(x**2 + y**2 < 0.6, brain, -1000.0)
