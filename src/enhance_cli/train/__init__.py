"""Training: data, degradation, the training loop and its checkpoints."""
