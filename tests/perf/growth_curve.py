"""How a cost grows: exponents of curves, as lines through logarithms. No clocks, no programs.

A curve is pairs of x (how many, how large) and cost (microseconds). An exponent of 0 is a cost that x does
not change, 1 one that doubles with x. A knee is where two lines fit much better than one.
"""

import dataclasses
import math

# Two lines are taken where they leave less than this share of what one leaves unexplained.
KNEE = 0.4
# Left and right of a knee; fewer make a line of noise.
POINTS_OF_LINE = 3


@dataclasses.dataclass(frozen=True)
class Growth:
    exponent: float  # of the whole curve
    knee: float | None  # x of it
    left: float | None  # exponents beside it
    right: float | None

    @property
    def at_the_end(self):
        """What more of x would cost."""
        return self.exponent if self.knee is None else self.right


def line(points):
    """Slope and what it leaves unexplained, of (x, y)."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    width = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / width
    return slope, sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)


def growth(curve):
    """Of at least three points; those at x = 0 are where others start from, and on no line."""
    points = sorted((math.log(x), math.log(cost)) for x, cost in curve if x > 0)
    if len({x for x, _ in points}) < POINTS_OF_LINE:
        raise ValueError("a curve wants three points beyond 0")
    slope, left_over = line(points)
    best = None
    # The knee is a point of both lines.
    for at in range(POINTS_OF_LINE - 1, len(points) - POINTS_OF_LINE + 1):
        (before, rest), (after, more) = line(points[:at + 1]), line(points[at:])
        if best is None or rest + more < best[0]:
            best = (rest + more, math.exp(points[at][0]), before, after)
    if best is None or best[0] > KNEE * left_over or abs(best[3] - best[2]) < 0.1:
        return Growth(slope, None, None, None)
    return Growth(slope, *best[1:])


def beyond(found, bound, noise):
    """Whether it grows faster than with that exponent; `noise` is what a slope of such curves may be off."""
    return max(found.exponent, found.at_the_end) > bound + noise
