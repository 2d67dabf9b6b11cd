"""How the backbones' tests run."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Networks of this size lose more to handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
