"""What tests/perf/compare has measured, as Markdown: the section of docs/performance.md between its two
markers. No I/O.
"""

from peers import bounds, figures

BEGIN = "<!-- made by tests/perf/compare: begin -->"
END = "<!-- made by tests/perf/compare: end -->"

CLASSES = {
    "fsync": "fsync before the acknowledgement",
    "crash": "outlives the crash of any process",
    "memory": "memory",
}

# Heads of columns, measure, figure, how it is written.
COLUMNS = [
    ("acknowledged/s", "rate-1", "acknowledged_per_s", "count"),
    ("end to end/s, 1 worker", "rate-1", "end_to_end_per_s", "count"),
    ("2 workers", "rate-2", "end_to_end_per_s", "count"),
    ("publish → start p50, µs", "latency", "p50_us", "us"),
    ("p99", "latency", "p99_us", "us"),
    ("round trip p50, µs", "round-trip", "p50_us", "us"),
    ("p99", "round-trip", "p99_us", "us"),
    ("worker start ², ms", "worker-start", "p50_us", "ms"),
    ("idle worker ³, kB", "memory", "idle_worker_kb", "count"),
    ("bytes per queued event ⁴", "memory", "bytes_per_queued", "count"),
    ("server killed: lost, repeated", "server-kill", ("lost", "repeated"), "pair"),
    ("worker killed: lost, repeated", "worker-kill", ("lost", "repeated"), "pair"),
]


def rounded(value):
    """Three digits say all that such a measurement knows."""
    if value >= 1000:
        digits = len(str(int(value))) - 3
        return f"{round(value / 10**digits) * 10**digits:,}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ranged(spread, written):
    divisor = 1000 if written == "ms" else 1
    median, low, high = (rounded(spread[key] / divisor) for key in ("median", "min", "max"))
    return median if low == high else f"{median} ({low} – {high})"


def cell(cells, system, measure, figure, written):
    """A cell's text: a figure with its range; else why there is none, by a letter for the notes."""
    mine = [one for one in cells if one["system"] == system and one["measure"] == measure]
    if any("left_out" in one for one in mine):
        return "–"
    if written == "pair":
        both = [figures.spread(figures.figure(cells, system, measure, one).values()) for one in figure]
        return ", ".join(ranged(one, "count") for one in both) if all(both) else failed(mine)
    spread = figures.spread(figures.figure(cells, system, measure, figure).values())
    return ranged(spread, written) if spread else failed(mine)


def failed(mine):
    return "failed" if any("failed" in one for one in mine) else ""


def table(rows):
    widths = [":---"] + ["---:"] * (len(rows[0]) - 1)
    return ["| " + " | ".join(row) + " |" for row in (rows[0], widths, *rows[1:])]


def by_class(systems, cells):
    """One row per durability class, one column per peer: who can offer it, and how fast."""
    peers = list(dict.fromkeys(system["peer"] for system in systems))
    heads = [next(one["name"] for one in systems if one["peer"] == peer).split()[0].strip(",") for peer in peers]
    rows = [["end to end/s, 2 workers", *heads]]
    for durability, words in CLASSES.items():
        row = [words]
        for peer in peers:
            mine = [one for one in systems if one["peer"] == peer and one["durability"] == durability]
            row.append("; ".join(filter(None, (cell(cells, one["key"], "rate-2", "end_to_end_per_s", "count")
                                               for one in mine))))
        rows.append(row)
    return table(rows)


def in_full(systems, cells):
    rows = [["", *(head for head, *_ in COLUMNS)]]
    for durability, words in CLASSES.items():
        rows.append([f"**{words}**"] + [""] * len(COLUMNS))
        rows += [[one["name"] + ("" if one["keeps_results"] else " ¹"),
                  *(cell(cells, one["key"], measure, figure, written) for _, measure, figure, written in COLUMNS)]
                 for one in systems if one["durability"] == durability]
    return table(rows)


def of_ratios(ratios):
    rows = [["ratio of the same round", "seen", "wanted", "met"]]
    for name, one in ratios.items():
        seen = ranged(one, "count") if "median" in one else "not measured"
        rows.append([name, seen, one["bound"], {True: "yes", False: "**no**", None: ""}[one["met"]]])
    return table(rows)


def notes(cells):
    whole = figures.spread(figures.figure(cells, "fanfare-memory", "worker-start", "whole_worker_us").values())
    worker = f" A whole `fanfare-worker` takes {ranged(whole, 'ms')} ms to its first event." if whole else ""
    return ["¹ Keeps no results: what counts is that the event ran. – : there is no such thing.",
            "² p50 of a worker process started while an event waits, from before its fork to the function's first line; of Fanfare "
            "an instance that there was none of, from the event's arrival on (`fanfare bench cold-start`)." + worker,
            "³ Proportional set size of all its processes; of Fanfare worker, zygote and instances.",
            "⁴ Proportional set size of all its servers' processes; of Fanfare broker and Redis."]


def failures(cells):
    told = {}
    for one in cells:
        if "failed" in one:
            told.setdefault((one["system"], one["measure"], one["failed"]), []).append(str(one["round"] + 1))
    return [f"- {system}, {measure}, round {', '.join(rounds)}: {why}"
            for (system, measure, why), rounds in told.items()]


def with_measures(before, result):
    """`before`, with those measures that `result` has: measured again, by themselves."""
    names = sorted({cell["measure"] for cell in result["cells"]})
    cells = [cell for cell in before["cells"] if cell["measure"] not in names] + result["cells"]
    again = {**before.get("again", {}), **dict.fromkeys(names, result["date"])}
    return {**before, "systems": result["systems"], "cells": cells, "again": again, "ratios": bounds.ratios(cells)}


def markdown(result):
    """`result` is what docs/performance.json has."""
    systems, cells, machine = result["systems"], result["cells"], result["machine"]
    present = [one for one in systems if not one["missing"]]
    busy = figures.spread([one["busy_before"] for one in cells if "busy_before" in one])
    lines = [
        f"{machine['processors']} × {machine['model']}, Linux {machine['kernel']}, {result['date']}; "
        f"{result['rounds']} round{'s' * (result['rounds'] > 1)}, medians and ranges. "
        f"Before a cell others used {100 * busy['median']:.0f} % of the machine "
        f"({100 * busy['min']:.0f} – {100 * busy['max']:.0f} %)."
        + "".join(f" Measured again by itself: {name}, {date}." for name, date in result.get("again", {}).items())
        + (" **Such figures say little: run it again when nothing else does.**" if busy["median"] > 0.3 else "")
        if busy else "Nothing was measured.",
        "", "![End-to-end rates and latencies, by system](performance.png)", "",
        *by_class(present, cells), "", *in_full(present, cells), "",
        *"\n\n".join(notes(cells)).split("\n"), "",
        *of_ratios(result["ratios"]), "",
        "Settings:", "",
        *[f"- {one['name']} {one['version']}: {one['settings']}." for one in present],
    ]
    missing = [f"- {one['name']}: {one['missing']}" for one in systems if one["missing"]]
    if missing:
        lines += ["", "Not measured:", "", *missing]
    told = failures(cells)
    if told:
        lines += ["", "Cells that failed:", "", *told]
    return "\n".join(lines) + "\n"


def replaced(document, section):
    """The document with a new section between its markers."""
    before, found, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"the document lacks the line {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{section}{END}{after}"
