"""What is wanted of Fanfare beside its peers, and whether it is so: the ratios by name. No I/O.

A ratio is made of the same round's two cells, then come median and range over the rounds; its bound is
held against the median. What was not measured has no ratio, and whether it is met is not known.
"""

from dataclasses import dataclass

from peers import figures


@dataclass(frozen=True)
class Ratio:
    name: str
    ours: str  # a system's key
    theirs: str
    measure: str
    figure: str
    at_least: float = 0  # one of the two
    at_most: float = 0
    their_figure: str = ""  # if it is another one

    def wanted(self):
        return f"≥ {self.at_least:g}" if self.at_least else f"≤ {self.at_most:g}"

    def rounds(self, cells):
        ours = figures.figure(cells, self.ours, self.measure, self.figure)
        theirs = figures.figure(cells, self.theirs, self.measure, self.their_figure or self.figure)
        return [ours[round_] / theirs[round_] for round_ in sorted(ours) if theirs.get(round_)]

    def met(self, rounds):
        median = figures.spread(rounds)["median"]
        return median >= self.at_least if self.at_least else median <= self.at_most


@dataclass(frozen=True)
class NoneLost:
    name: str
    ours: str
    measure: str

    def wanted(self):
        return "0"

    def rounds(self, cells):
        return list(figures.figure(cells, self.ours, self.measure, "lost").values())

    def met(self, rounds):
        return max(rounds) == 0


def _rates(name, ours, theirs, bound):
    return [Ratio(f"{name}: end to end, {workers} worker{'s' * (workers - 1)}", ours, theirs, f"rate-{workers}",
                  "end_to_end_per_s", at_least=bound) for workers in (1, 2)]


def _starts(peers, bound):
    return [Ratio(f"cold start / {name}'s worker start", "fanfare-memory", key, "worker-start", "p50_us", at_most=bound)
            for name, key in peers.items()]


BOUNDS = (
    *_rates("fsync / JetStream", "fanfare-fsync", "nats-file", 1.5),
    *_rates("fsync / beanstalkd -f 0", "fanfare-fsync", "beanstalkd-f0", 30),
    *_rates("everysec / JetStream", "fanfare-everysec", "nats-file", 2.5),
    *_rates("everysec / BullMQ", "fanfare-everysec", "bullmq", 30),
    *_rates("memory without results / gearmand", "fanfare-memory-no-results", "gearmand", 15),
    Ratio("everysec / JetStream: publish → start p50", "fanfare-everysec", "nats-file", "latency", "p50_us", at_most=0.75),
    Ratio("memory / gearmand: publish → start p50", "fanfare-memory", "gearmand", "latency", "p50_us", at_most=0.8),
    Ratio("broker / gearmand: round trip p50", "fanfare-memory", "gearmand", "round-trip", "p50_us", at_most=0.9),
    Ratio("function to function / gearmand: round trip p50", "fanfare-memory", "gearmand", "round-trip",
          "from_function_p50_us", at_most=0.3, their_figure="p50_us"),
    *_starts({"beanstalkd": "beanstalkd-f50", "gearmand": "gearmand", "JetStream": "nats-file", "RabbitMQ": "rabbitmq"}, 1),
    *_starts({"BullMQ": "bullmq", "bee-queue": "bee-queue", "Celery": "celery", "RQ": "rq"}, 0.01),
    *(NoneLost(f"{name}: lost after kill -9 of {what}", key, measure)
      for name, key in (("fsync", "fanfare-fsync"), ("everysec", "fanfare-everysec"))
      for what, measure in (("broker and Redis", "server-kill"), ("a worker", "worker-kill"))),
)


def ratios(cells):
    """{name: {bound, met, median, min, max, rounds}}; met is None where it was not measured."""
    found = {}
    for bound in BOUNDS:
        rounds = bound.rounds(cells)
        found[bound.name] = {"bound": bound.wanted(), "met": bound.met(rounds) if rounds else None,
                             **(figures.spread(rounds) or {}), "rounds": rounds}
    return found
