"""Enlarging: exact tiles, the engine that runs them, files and folders."""
