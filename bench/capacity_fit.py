"""Fit the five constants of the roofline to measured points; used by `bench/capacity.py`."""

from collections.abc import Sequence

from quartermaster.capacity.fleet import Point
from quartermaster.capacity.roofline import Constants, Roofline


def calibrated(observed: Sequence[tuple[Roofline, Point]]) -> Constants:
    """The constants with the least squared relative error, none negative.

    Args:
        observed: measured points, each with the roofline of the replica it was measured on.
    """
    prefill_rows = [
        (line.prefill_parts(point.read_tokens), point.prefill_ms) for line, point in observed
    ]
    decode_rows = [
        (line.decode_parts(point.batch, point.context_tokens), point.decode_ms)
        for line, point in observed
    ]
    prefill = _least_squares([[x / y for x in xs] for xs, y in prefill_rows])
    decode = _least_squares([[x / y for x in xs] for xs, y in decode_rows])
    return Constants(*prefill, *decode)


def _least_squares(rows: Sequence[Sequence[float]]) -> list[float]:
    """Non-negative weights that bring every weighted row closest to one.

    Unknowns that would be negative are dropped, the most negative first, and the rest fitted again.
    """
    active = list(range(len(rows[0])))
    while True:
        normal = [[sum(row[i] * row[j] for row in rows) for j in active] for i in active]
        found = _solved(normal, [sum(row[i] for row in rows) for i in active])
        if min(found) >= 0:
            weights = dict(zip(active, found, strict=True))
            return [weights.get(i, 0.0) for i in range(len(rows[0]))]
        del active[found.index(min(found))]


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination with partial pivoting; two or three unknowns."""
    size = len(right)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        right[column], right[pivot] = right[pivot], right[column]
        for row in range(column + 1, size):
            factor = matrix[row][column] / matrix[column][column]
            right[row] -= factor * right[column]
            for at in range(column, size):
                matrix[row][at] -= factor * matrix[column][at]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = sum(matrix[row][at] * found[at] for at in range(row + 1, size))
        found[row] = (right[row] - known) / matrix[row][row]
    return found
