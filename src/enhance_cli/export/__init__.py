"""Exporting a network to other runtimes, and proving that it computes the same there."""
