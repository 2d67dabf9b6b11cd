"""Training of adapters, pooling and head by Ray Train and DeepSpeed."""
