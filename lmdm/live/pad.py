"""The blend surface: weights of prompts from a point.

Two prompts lie at the ends of a line; three and more at the corners of a regular polygon. Within it
the weights are Wachspress's generalised barycentric coordinates ("A Rational Finite Element
Basis", 1975; the form without divisions is in Floater, "Generalized barycentric coordinates and
applications", 2015): they are 0 or more, sum to 1, are 1 for the corner the point is on, and
average the corners to the point itself, so the point can be found again from the weights.

    >>> weights_at((0.25, 0.5), 2)
    (0.75, 0.25)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]


def corners(count: int) -> tuple[Point, ...]:
    """Where the prompts lie on the unit square, y downwards; clockwise from the upper left.

    Raises:
        ValueError: fewer than one prompt.
    """
    if count < 1:
        raise ValueError("a blend needs at least one prompt")
    if count == 1:
        return ((0.5, 0.5),)
    if count == 2:
        return ((0.0, 0.5), (1.0, 0.5))
    if count == 4:
        return ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    angles = [2 * math.pi * index / count - math.pi / 2 for index in range(count)]
    ring = [(math.cos(angle), math.sin(angle)) for angle in angles]
    return tuple(_spread(ring))


def weights_at(point: Point, count: int) -> tuple[float, ...]:
    """The weight of each of `count` prompts at a point, or at the place inside nearest to it."""
    places = corners(count)
    if count == 1:
        return (1.0,)
    if count == 2:
        share = min(max(point[0], 0.0), 1.0)
        return (1.0 - share, share)
    point = nearest(point, count)
    edges = [_area(point, places[i], places[(i + 1) % count]) for i in range(count)]
    raw = []
    for i in range(count):
        corner = _area(places[i - 1], places[i], places[(i + 1) % count])
        others = (max(edges[j], 0.0) for j in range(count) if j not in (i, (i - 1) % count))
        raw.append(corner * math.prod(others))
    total = sum(raw)
    return tuple(value / total for value in raw)


def nearest(point: Point, count: int) -> Point:
    """The point itself when it lies within the surface, else the nearest on its edge."""
    places = corners(count)
    if count == 1:
        return places[0]
    if count > 2 and all(
        _area(point, places[i], places[(i + 1) % count]) >= 0.0 for i in range(count)
    ):
        return point
    found = [_on_segment(point, places[i - 1], places[i]) for i in range(count)]
    return min(found, key=lambda place: math.dist(place, point))


def _spread(ring: Sequence[Point]) -> list[Point]:
    """The polygon stretched to fill the unit square."""
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    low_x, low_y = min(xs), min(ys)
    width, height = max(xs) - low_x, max(ys) - low_y
    return [((x - low_x) / width, (y - low_y) / height) for x, y in ring]


def _area(a: Point, b: Point, c: Point) -> float:
    """Twice the signed area of a triangle; positive when it turns clockwise on the screen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _on_segment(point: Point, start: Point, end: Point) -> Point:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / (dx * dx + dy * dy)
    along = min(max(along, 0.0), 1.0)
    return start[0] + along * dx, start[1] + along * dy
