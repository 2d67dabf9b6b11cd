"""Training of adapters, pooling and head by Ray Train and DeepSpeed."""

import os

import torch

# DeepSpeed chooses its accelerator when it is imported, and says so at length unless it was told.
os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
# Ray Train would print each of a worker's lines twice: as it is, and through its logger.
os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
