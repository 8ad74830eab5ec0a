"""What tests/perf/compare asks of a system: one class per peer, in a file of its own, says how its server
starts, and what its client is called. All clients take the same arguments (clients/measured.h).
"""

import pathlib
import shutil
import subprocess

from peers.session import Session

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
CLIENTS = HERE / "clients"
BUILT = ROOT / "build/compare"
PYTHON = "/usr/bin/python3"  # Debian's, which sees Debian's libraries


class System:
    key = ""  # names it in figures and ratios
    name = ""  # heads its row
    peer = ""  # the program that it is a setting of: what --only names, too
    durability = ""  # fsync, crash or memory: what an acknowledged event outlives
    settings = ""
    keeps_results = False
    calls = True  # has synchronous round trips
    kept_out = {}  # measure: why it is not made
    needs = ()  # programs
    files = ()  # paths
    pause_us = 300  # of the function, where a server or worker is killed meanwhile
    patience_s = 8  # without progress, after a kill: then what is missing is lost
    # events per measure
    events = 300_000
    queued = 100_000
    crash_events = 6_000
    latency_rate = 500  # a second; `settings` says if it is another
    call_events = 3_000
    starts = 10

    def missing(self):
        """Why this system cannot be measured here; empty if it can."""
        for program in self.needs:
            if not shutil.which(program):
                return f"{program} is not installed (ops/setup --peers)"
        for path in self.files:
            if not pathlib.Path(path).exists():
                return f"{path} is not there (ops/setup --peers)"
        return ""

    def version(self):
        return ""

    def prepare(self):
        """Builds what the client needs."""

    def session(self, place, workers, measure):
        return Session(self, place, workers)

    # What a plain Session asks.
    def servers(self, place):
        """[(name, argv, environment)], started in this order, each when the ones before are ready."""
        raise NotImplementedError

    def ready(self, place, name):
        raise NotImplementedError

    def client(self, place):
        """The client's argv, up to the address."""
        raise NotImplementedError

    def client_environment(self, place):
        return {}

    def stored(self, place):
        """How many results the system keeps by now; None if it keeps none."""
        return None


class CClient:
    """A client in C, compiled when its source is newer."""

    library = ""

    def prepare(self):
        BUILT.mkdir(parents=True, exist_ok=True)
        source, program = CLIENTS / f"{self.peer}.c", self.program()
        newest = max(source.stat().st_mtime, (CLIENTS / "measured.h").stat().st_mtime)
        if program.exists() and program.stat().st_mtime > newest:
            return
        done = subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-o", program, source,
                               *([f"-l{self.library}"] if self.library else [])], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{source.name} does not compile: {done.stderr.strip()[-300:]}")

    def program(self):
        return BUILT / self.peer

    def missing(self):
        return super().missing() or ("" if shutil.which("cc") else "cc is not installed (ops/setup --build)")
