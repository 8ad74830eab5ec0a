"""What the guard on speed measures: `fanfare bench` and the calibration, in alternation.

A run is a mode of bench with the one of the calibration that resembles it. Both are children here, and each
gives two costs: the figure that bench prints, which is time by the clock, and the processor time of all
its processes, their Redis included, per event. Other programs on the machine disturb that far less, but
what merely waits longer shows only in the first.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from guard_verdict import ratios

CLOCK, PROCESSOR = "by the clock", "processor time"
KINDS = (CLOCK, PROCESSOR)


@dataclasses.dataclass(frozen=True)
class Run:
    name: str
    mode: str
    durability: str
    events: int  # of bench: some half a second
    calibration_events: int
    kinds: tuple  # of cost; few events use less of a processor than starting the installation varies by
    short: tuple  # those in which machines can be compared, of the short form

    def clock_cost(self, report):
        """Of bench's report: microseconds an event, as latency or at full load."""
        return 1e6 / report["end_to_end_per_s"] if self.mode == "throughput" else report["latency_us"]["p50"]

    def shown(self, kind, cost):
        """The figure as people read it."""
        if kind == PROCESSOR:
            return f"{cost:,.2f} us an event"
        return f"{1e6 / cost:,.0f} events/s" if self.mode == "throughput" else f"{cost:,.0f} us p50"


# Not among them: publish to start at a steady rate (`bench latency`). Beside other programs each step waits for
# a processor, in turns that nothing of ours resembles: its ratios spread more than the figure itself did.
RUNS = (
    Run("throughput memory", "throughput", "memory", 100_000, 60_000, KINDS, (PROCESSOR,)),
    Run("throughput everysec", "throughput", "everysec", 60_000, 40_000, KINDS, (PROCESSOR,)),
    Run("throughput fsync", "throughput", "fsync", 40_000, 30_000, KINDS, ()),
    Run("invoke", "invoke", "memory", 1_000, 2_000, KINDS, KINDS),
    Run("cold start", "cold-start", "memory", 12, 20, (CLOCK,), ()),
)

# What an installation costs that does next to nothing; bench itself wants some events.
EVENTS_OF_START = 10
EVENTS_OF_PROCESSOR = 60_000

# How Redis keeps what it is told, by class.
REDIS = {"memory": ("no", "no"), "everysec": ("yes", "everysec"), "fsync": ("yes", "always")}


class Redis:
    """One for the calibration, on the disk that bench's own installations use."""

    def __init__(self, folder, durability):
        folder.mkdir()
        self.socket = folder / "redis.sock"
        append, sync = REDIS[durability]
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", folder, "--save", "",
             "--appendonly", append, "--appendfsync", sync, "--auto-aof-rewrite-percentage", "0"],
            stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the calibration's Redis does not start; is redis-server installed (ops/setup --run)?")
            time.sleep(0.01)

    def processor_s(self):
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def close(self):
        self.process.terminate()
        self.process.wait()


def execute(command):
    """What it printed, and the processor time of it and of all its descendants."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        printed, said = child.stdout.read(), child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {child.returncode}: {said.strip()}")
    return printed, used.ru_utime + used.ru_stime


class Bench:
    """Runs measures; its files and servers go when it is closed."""

    def __init__(self, fanfare, calibration):
        self.fanfare, self.calibration = fanfare, calibration
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fanfare-guard-", dir="/var/tmp"))
        self.redis = {}
        # bench is to make an installation of its own, whatever the caller uses.
        os.environ.pop("FANFARE_DATA", None)

    def close(self):
        for redis in self.redis.values():
            redis.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def redis_for(self, durability):
        if durability not in self.redis:
            self.redis[durability] = Redis(self.folder / durability, durability)
        return self.redis[durability]

    def calibrate(self, run, kinds):
        """Its costs of these kinds, in microseconds a message."""
        command = [self.calibration, run.mode, "--events", run.calibration_events]
        if run.mode == "throughput":
            redis = self.redis_for(run.durability)
            before = redis.processor_s()
            printed, used = execute([*command, "--redis", redis.socket, *([] if run.durability == "memory" else ["--journal"])])
            used += redis.processor_s() - before
            return {CLOCK: 1e6 / float(printed), PROCESSOR: used / run.calibration_events * 1e6}
        costs = {}
        if CLOCK in kinds:
            costs[CLOCK] = float(execute(command)[0])
        if PROCESSOR in kinds:
            # What single messages use of the processor depends on how deeply it sleeps in between: it says
            # little about what others use, and many messages at a time say more.
            _, used = execute([self.calibration, "throughput", "--events", EVENTS_OF_PROCESSOR])
            costs[PROCESSOR] = used / EVENTS_OF_PROCESSOR * 1e6
        return costs

    def bench(self, run, events):
        """Bench's report, and the processor seconds that all of it took."""
        printed, used = execute([self.fanfare, "--json", "bench", run.mode, "--durability", run.durability,
                                 "--events", events, "--runs", 1])
        return json.loads(printed), used

    def measure(self, run, kinds):
        """As calibrate(); starting and ending the installation are no part of the processor time."""
        start_s = self.bench(run, EVENTS_OF_START)[1] if PROCESSOR in kinds else 0
        report, used_s = self.bench(run, run.events)
        return {CLOCK: run.clock_cost(report), PROCESSOR: max(used_s - start_s, 1e-6) / run.events * 1e6}

    def series(self, run, kinds, pairs):
        """By kind: costs, and their ratios, each between two looks at the calibration."""
        calibrations, costs = [self.calibrate(run, kinds)], []
        for _ in range(pairs):
            costs.append(self.measure(run, kinds))
            calibrations.append(self.calibrate(run, kinds))
        both = {kind: ([c[kind] for c in costs], [c[kind] for c in calibrations]) for kind in kinds}
        return {kind: {"costs": cost, "calibrations": around, "ratios": ratios(cost, around)}
                for kind, (cost, around) in both.items()}


@contextlib.contextmanager
def busy(processes):
    """Programs that do nothing but use the processors."""
    children = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()
