"""The figures as a picture: rates and latencies of all systems, by durability class."""

from peers import figures
from peers.report import CLASSES

COLOURS = {"fsync": "#1b6ca8", "crash": "#3a9e5c", "memory": "#c97b1a"}
PANELS = [("end to end, 2 workers, events/s", "rate-2", "end_to_end_per_s"),
          ("publish → start at 500/s, p50, µs", "latency", "p50_us"),
          ("round trip, p50, µs", "round-trip", "p50_us"),
          ("start of a worker, p50, µs", "worker-start", "p50_us")]


def draw(systems, cells, file):
    import matplotlib  # here: whoever does not draw need not have it
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    canvas, axes = pyplot.subplots(1, len(PANELS), figsize=(20, 6), constrained_layout=True)
    for axis, (title, measure, name) in zip(axes, PANELS):
        bars = [(one, figures.spread(figures.figure(cells, one["key"], measure, name).values())) for one in systems]
        bars = [bar for bar in bars if bar[1]][::-1]
        medians = [spread["median"] for _, spread in bars]
        errors = [[spread["median"] - spread["min"] for _, spread in bars], [spread["max"] - spread["median"] for _, spread in bars]]
        axis.barh([one["name"] for one, _ in bars], medians, xerr=errors,
                  color=[COLOURS[one["durability"]] for one, _ in bars], error_kw={"linewidth": 0.8})
        if medians:
            axis.set_xscale("log")
        axis.set_title(title)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    canvas.legend(handles=[Patch(color=colour, label=CLASSES[word]) for word, colour in COLOURS.items()],
                  loc="upper center", bbox_to_anchor=(0.5, 0), ncol=len(COLOURS), frameon=False)
    canvas.savefig(file, dpi=80, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(canvas)
