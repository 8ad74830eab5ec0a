"""What ratios say: arithmetic of the guard on speed, without clocks or programs.

Each figure is a cost: what one event, call or start takes. Its ratio is that cost over the cost of one
message of the calibration, measured right before and right after. A slowdown is a ratio over the
committed one: 1 is as fast as then, 2 takes twice as long.
"""

import math
import statistics

# A tolerance is never below LEAST, as compilers and kernels move code by so much, and never above MOST,
# so that what has become twice as slow is always told.
LEAST, MOST = 1.25, 1.7
# The least in the short form, whose machine may be of another kind than any of the figures', or in a bad hour.
LEAST_SHORT = 1.5
# Series from which a spread is taken seriously; from fewer the tolerance is MOST.
ENOUGH = 5
# How much further than all series so far another one may lie.
MARGIN = 1.5


def ratio(cost, before, after):
    """`cost` over the geometric mean of the calibration's costs around it."""
    return cost / math.sqrt(before * after)


def ratios(costs, calibrations):
    """In alternation: one calibration more than costs, each cost between two of them."""
    if len(calibrations) != len(costs) + 1:
        raise ValueError("each cost needs a calibration before it, and the last one after it")
    return [ratio(cost, *calibrations[at:at + 2]) for at, cost in enumerate(costs)]


def tolerance(medians):
    """From medians of series at rest and under load: by how much the slowest is above their median."""
    if len(medians) < ENOUGH:
        return MOST
    beyond = max(medians) / statistics.median(medians) - 1
    return round(min(MOST, max(LEAST, 1 + MARGIN * beyond)), 2)


def allowed(committed_tolerance, short):
    return max(committed_tolerance, LEAST_SHORT) if short else committed_tolerance


def figures_for(machine, machines):
    """The committed figures that a machine is compared with, by measure, and whose they are: those of its own kind; of what it
    has none of, the slowest, as nobody knows which kind it resembles. Tolerances are the widest of all kinds: the busiest
    machine has seen how far a measure spreads."""
    own = next((one["measures"] for one in machines if one["machine"] == machine), {})
    found = {}
    for name in sorted({name for one in machines for name in one["measures"]}):
        known = [one["measures"][name] for one in machines if name in one["measures"]]
        chosen = own.get(name) or max(known, key=lambda figure: figure["ratio"])
        found[name] = {**chosen, "tolerance": max(figure["tolerance"] for figure in known)}
    return found, "this kind of machine" if own else f"other kinds of machine, the slowest of {len(machines)}"


def slowdown(median, committed):
    return median / committed


class Verdict:
    """Of one measure, over its series: the first one and repetitions. The fastest counts, since nothing
    makes a series faster than the code is, and much makes it slower."""

    def __init__(self, committed, allowed):
        self.committed, self.allowed, self.slowdowns = committed, allowed, []

    def add(self, series):
        self.slowdowns.append(slowdown(statistics.median(series), self.committed))

    @property
    def best(self):
        return min(self.slowdowns)

    @property
    def passed(self):
        return bool(self.slowdowns) and self.best <= self.allowed
