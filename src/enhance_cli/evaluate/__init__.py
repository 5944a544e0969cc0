"""Measuring: metrics under named protocols."""
