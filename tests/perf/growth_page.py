"""Pictures of growth, and the section of the page that shows them."""

import importlib.util
import re

BEGIN, END = "<!-- growth: written by tests/perf/growth -->", "<!-- growth: end -->"


def can_plot():
    return importlib.util.find_spec("matplotlib") is not None


def write(data, pictures, page):
    pictures.mkdir(exist_ok=True)
    for name, dimension in data["dimensions"].items():
        plot(name, dimension, pictures / f"{name}.png")
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no lines '{BEGIN}' and '{END}'")
    table = f"{BEGIN}\n{rows_of(data)}\n{END}"
    page.write_text(re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: table, text, flags=re.DOTALL))


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def exponents(row):
    if row["knee"] is None:
        return f"{row['exponent']:.2f}"
    return f"{row['left']:.2f}, from {number(row['knee'])} on {row['right']:.2f}"


def rows_of(data):
    lines = ["| x | of an event | at the least x, µs | at the greatest x, µs | exponent | bound |", "|---|---|---|---|---|---|"]
    for name, dimension in data["dimensions"].items():
        for measured, row in dimension["costs"].items():
            (first, low), (last, high) = row["points"][0], row["points"][-1]
            bound = "" if row["bound"] is None else row["bound"]
            lines.append(f"| [{name}](growth/{name}.png), {dimension['unit']} | {measured} | {number(low)} ({number(first)}) "
                         f"| {number(high)} ({number(last)}) | {exponents(row)} | {bound} |")
    return "\n".join(lines)


def plot(name, dimension, file):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    costs = dimension["costs"]
    figure, panels = pyplot.subplots(1, len(costs), figsize=(4.6 * len(costs), 4), squeeze=False)
    for panel, (measured, row) in zip(panels[0], costs.items()):
        draw(panel, name, dimension["unit"], measured, row)
    machine = dimension["machine"]
    figure.suptitle(f"{name}: {machine['cpus']} × {machine['model']}, load {machine['load']}, class everysec, {dimension['date']}",
                    fontsize=9)
    figure.tight_layout()
    # Without what makes each picture of the same data another file.
    figure.savefig(file, dpi=80, metadata={"Software": None})
    pyplot.close(figure)


# What is shown as events a second: the others are costs already.
RATES = ("throughput", "publish", "drain")
LABELS = {"processor time": "processor time of all processes, µs an event",
          "publish to start": "publish → handler entered, p50, µs"}


def draw(panel, name, unit, measured, row):
    def shown(cost):
        return 1e6 / cost if measured in RATES else cost
    # A point at 0 has no place on a logarithmic axis: it is the dotted line.
    zero = [shown(cost) for x, cost in row["points"] if x == 0]
    xs, values = zip(*[(x, shown(cost)) for x, cost in row["points"] if x > 0])
    panel.loglog(xs, values, "o-", color="tab:blue")
    if zero:
        panel.axhline(zero[0], linestyle=":", color="grey", label="with none")
    if row["knee"]:
        panel.axvline(row["knee"], linestyle="--", color="tab:orange", label=f"knee at {number(row['knee'])}")
    at = next((i for i, x in enumerate(xs) if row["knee"] and round(x) == row["knee"]), 0)
    linear = [values[at] * (x / xs[at]) ** (-1 if measured in RATES else 1) for x in xs[at:]]
    panel.loglog(xs[at:], linear, "-", linewidth=0.8, color="tab:red", label="if the cost grew linearly from there")
    panel.set_ylim(min(values) / 3, max(values) * 3)
    panel.set_xlabel(f"{name}: {unit}")
    panel.set_ylabel(LABELS.get(measured, f"{measured}, by the clock, events/s"))
    panel.set_title(f"exponent of the cost: {exponents(row)}", fontsize=9)
    panel.grid(True, which="major", alpha=0.4)
    panel.legend(fontsize=8)
