"""The paper's table for the user's data: every backbone with every adapter, over seeds, on the test split."""

from molre.benchmarking.config import BenchmarkConfig
from molre.benchmarking.run import benchmark

__all__ = ["BenchmarkConfig", "benchmark"]
