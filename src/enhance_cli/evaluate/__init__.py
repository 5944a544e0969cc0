"""Measuring how good enlarged images are, by metrics under named protocols."""
