"""Export: a network for other runtimes, and the proof that it computes the same."""
