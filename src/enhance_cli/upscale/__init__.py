"""Enlarging images tile by tile, files and whole folders."""
