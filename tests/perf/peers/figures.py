"""From records to figures: the arithmetic of tests/perf/compare. No I/O, no clocks.

A record is what a function has appended when it ran: the event's index, when it began, and when its
publisher stamped it (CLOCK_MONOTONIC, ns). A call's record has when its answer came instead. Events of a
warm-up have indexes from WARM_UP on, and count for nothing.
"""

import statistics
import struct

RECORD = struct.Struct("<qqq")
WARM_UP = 10**9


class Unusable(Exception):
    """What was recorded cannot become a figure: says why."""


def records(contents):
    """(index, at_ns, stamp_ns) of all whole records in the files' contents, without the warm-up's."""
    found = []
    for bytes_ in contents:
        whole = len(bytes_) - len(bytes_) % RECORD.size
        found += [one for one in RECORD.iter_unpack(bytes_[:whole]) if one[0] < WARM_UP]
    return found


def percentile(values, share):
    """The least value that so large a share of all does not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise Unusable("there are no values")
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def lost_and_repeated(found, published):
    """How many of the acknowledged events 0 … published - 1 never ran, and how many runs were one too many."""
    distinct = {index for index, _, _ in found if 0 <= index < published}
    return published - len(distinct), len(found) - len(distinct)


def complete(found, published):
    lost, repeated = lost_and_repeated(found, published)
    if lost or repeated:
        raise Unusable(f"without any crash {lost} of {published} events were lost and {repeated} repeated")


def rates(found, told, stored_ns=0):
    """Per second: acknowledged, and first publish to the last start; where the system keeps results and can
    be asked for them, to the last result stored."""
    published = told["acknowledged"]
    complete(found, published)
    end_ns = max(max(at for _, at, _ in found), stored_ns)
    return {"acknowledged_per_s": published * 1e9 / (told["last_ns"] - told["first_ns"]),
            "end_to_end_per_s": published * 1e9 / (end_ns - min(stamp for _, _, stamp in found))}


def latencies(found, skip):
    """Microseconds from stamp to start (or answer), but for the first events."""
    took = [(at - stamp) / 1e3 for index, at, stamp in found if index >= skip]
    return {"p50_us": percentile(took, 50), "p99_us": percentile(took, 99)}


def spread(values):
    """Median, least and greatest; None of none."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figure(cells, system, measure, name):
    """{round: value} of one figure, of the cells that did not fail."""
    return {cell["round"]: cell["figures"][name] for cell in cells
            if cell["system"] == system and cell["measure"] == measure and name in cell.get("figures", {})}
