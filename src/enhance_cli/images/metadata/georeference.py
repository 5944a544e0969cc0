"""Adapting the georeference of a TIFF, which says where on Earth its pixels lie, to a result.

Source: GeoTIFF 1.1 (OGC 19-008r4), 7.4 and annexes B.4 to B.6; RPC in GeoTIFF (GDAL).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.images.metadata.change import Change
from enhance_cli.images.metadata.directories import Tag, Tags, entry_of, numbers_of

PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEYS = 33550, 33922, 34264, 34735
RATIONAL_POLYNOMIALS = 50844
_DOUBLE = 12
_RASTER_TYPE, _POINTS = 1025, 2  # a key, and its value if whole numbers are centres of pixels
_LINE, _SAMPLE, _LINE_SCALE, _SAMPLE_SCALE = 2, 3, 7, 8  # indices of numbers before the polynomials


def fit_georeference(tags: Tags, order: str, change: Change) -> tuple[Tags, list[str]]:
    """Return the tags for a result, and the names of those that had to be left out.

    The corners of the picture keep their places on Earth.
    """
    made, lost = dict(tags), []
    numbers = {tag: [float(one) for one in numbers_of(entry, order)] for tag, entry in tags.items()}
    to_file = _to_file(change, _are_points(numbers))

    def put(tag: int, values: list[float]) -> None:
        made[tag] = _doubles(values, order)

    scale, ties = numbers.get(PIXEL_SCALE, []), numbers.get(TIE_POINTS, [])
    matrix = numbers.get(TRANSFORMATION, [])
    if len(matrix) == 16:
        put(TRANSFORMATION, list((np.reshape(matrix, (4, 4)) @ to_file).ravel()))
    if len(scale) >= 2 and len(ties) >= 6 and change.is_turned:
        put(TRANSFORMATION, list((_matrix_of(scale, ties) @ to_file).ravel()))
        del made[PIXEL_SCALE], made[TIE_POINTS]
    else:
        if len(scale) >= 2:
            across, down = map(float, change.factors)
            put(PIXEL_SCALE, [scale[0] / across, scale[1] / down, *scale[2:]])
        if ties:
            from_file = np.linalg.inv(to_file)
            put(TIE_POINTS, [one for start in range(0, len(ties) - 5, 6)
                             for one in _tie(ties[start : start + 6], from_file)])  # fmt: skip
    polynomials = numbers.get(RATIONAL_POLYNOMIALS, [])
    if RATIONAL_POLYNOMIALS in made and (change.is_turned or len(polynomials) < 12):
        del made[RATIONAL_POLYNOMIALS]
        lost.append("polynomials of its georeference (RPC)")
    elif polynomials:
        put(RATIONAL_POLYNOMIALS, _scale_polynomials(polynomials, change))
    return made, lost


def _doubles(values: list[float], order: str) -> Tag:
    return entry_of(_DOUBLE, values, order)


def _are_points(numbers: dict[int, list[float]]) -> bool:
    """Whether whole numbers are the centres of pixels, not their corners."""
    keys = numbers.get(KEYS, [])
    lines = [keys[start : start + 4] for start in range(4, len(keys) - 3, 4)]
    return any(line[0] == _RASTER_TYPE and line[3] == _POINTS for line in lines)


def _to_file(change: Change, are_points: bool) -> NDArray[np.floating[Any]]:
    """Return the matrix that maps a place in the result to one in the file, both (x, y, z, 1)."""
    corner = np.array(_place(change, 0, 0))
    right, down = np.array(_place(change, 1, 0)), np.array(_place(change, 0, 1))
    forth = np.eye(4)
    forth[:2, 0], forth[:2, 1], forth[:2, 3] = right - corner, down - corner, corner
    back = np.linalg.inv(forth)
    if are_points:
        half = np.eye(4)
        half[:2, 3] = 0.5
        back = np.linalg.inv(half) @ back @ half
    return back


def _place(change: Change, x: int, y: int) -> tuple[float, float]:
    moved = change.point(x, y)
    return float(moved[0]), float(moved[1])


def _matrix_of(scale: list[float], ties: list[float]) -> NDArray[np.floating[Any]]:
    """Return the matrix from the file to Earth that a scale and one tie point define."""
    i, j, _, x, y, z = ties[:6]
    across, down = scale[:2]
    matrix = np.diag([across, -down, 0.0, 1.0])
    matrix[:3, 3] = x - i * across, y + j * down, z
    return matrix


def _tie(tie: list[float], from_file: NDArray[np.floating[Any]]) -> list[float]:
    i, j = (from_file @ [tie[0], tie[1], 0, 1])[:2]
    return [float(i), float(j), *tie[2:]]


def _scale_polynomials(numbers: list[float], change: Change) -> list[float]:
    """Return polynomials for the lines and samples of the result; these count pixel centres."""
    across, down = map(float, change.factors)
    made = list(numbers)
    made[_LINE] = (numbers[_LINE] + 0.5) * down - 0.5
    made[_SAMPLE] = (numbers[_SAMPLE] + 0.5) * across - 0.5
    made[_LINE_SCALE], made[_SAMPLE_SCALE] = (
        numbers[_LINE_SCALE] * down,
        numbers[_SAMPLE_SCALE] * across,
    )
    return made
