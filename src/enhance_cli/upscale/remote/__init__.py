"""Photographs and results in object storage."""
