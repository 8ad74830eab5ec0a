"""Fanfare itself: a temporary `fanfare up` of this checkout's release build."""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import time

from peers import figures, processes, redis
from peers.session import Session
from peers.system import ROOT, System

BUILD = ROOT / "build/release"
PROGRAM = BUILD / "bin/fanfare"
TARGETS = ["fanfare", "fanfare-broker", "fanfare-worker", "fanfare-instance", "noop", "relay", "compare_fanfare", "measured"]


class FanfareSession(Session):
    """`up` owns broker, Redis and workers: it starts what was killed again by itself."""

    def __init__(self, system, place, workers, measure):
        self.up, self.measure, self.count = None, measure, max(1, workers)
        super().__init__(system, place, 0)

    def start_servers(self):
        if self.up:
            return
        self.data = self.place.disk / "data"
        self.up = self.place.spawn("up", [PROGRAM, "--data", self.data, "up", "--durability", self.system.durability_word,
                                          "--no-examples", "--no-http", "--workers", self.count])
        processes.wait_until(lambda: "fanfare: ready" in self.place.log("up").read_text() or self.up.poll() is not None,
                             30, lambda: f"`fanfare up` is not ready: {self.place.last_words('up')}")
        self.run("functions", "deploy", self.function())

    def function(self):
        folder = self.place.disk / "measured"
        folder.mkdir()
        shutil.copy(BUILD / "compare/measured/measured.so", folder)
        keep_alive = 'keep_alive = "10ms"\n' if self.measure == "worker-start" else ""
        ttl = "10m" if self.system.keeps_results else "0s"
        (folder / "function.toml").write_text(
            f'name = "measured"\n{keep_alive}[[on]]\npattern = \'{{"type": ["compare.measured"]}}\'\n'
            f'[result]\nttl = "{ttl}"\n[env]\nCOMPARE_RECORDS = "{self.place.records}/instance-"\n')
        return folder

    def run(self, *words):
        done = subprocess.run([PROGRAM, "--data", self.data, "--json", *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"fanfare {' '.join(map(str, words))}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def client(self):
        return [BUILD / "tests/compare_fanfare", f"ipc://{self.data}/run/broker.ipc"]

    def children(self, *names):
        found = []
        for pid in processes.descendants(self.up.pid):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() in names:
                    found.append(pid)
        return found

    def server_pids(self):
        return self.children("fanfare-broker", "redis-server")

    def worker_pids(self):
        return [[pid, *processes.descendants(pid)] for pid in self.children("fanfare-worker")]

    def kill_server(self):
        processes.kill_hard(self.server_pids())

    def kill_worker(self):
        processes.kill_hard(self.worker_pids()[0])

    def hold_workers(self):
        self.run("functions", "pause", "measured")

    def release_workers(self):
        self.run("functions", "resume", "measured")

    def stop_workers(self):
        self.hold_workers()

    def replace_ended_workers(self):
        """`up` does."""

    def wait_stored(self, count):
        counts = self.data / "run/redis.sock"
        processes.wait_until(lambda: int(redis.ask(counts, "HGET", "fanfare:{measured}:counts", "succeeded") or 0) >= count,
                             20, lambda: f"there are not {count} committed ends", every=0.003)
        return time.monotonic_ns()

    def close(self):
        if self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.up.wait(10)
        super().close()

    def worker_starts(self, count):
        """Three things: what `fanfare bench cold-start` says (arrival without an instance until the function's first
        line), the same from the publisher's stamp on, and a whole worker process."""
        told = json.loads(self.run("bench", "cold-start", "--events", 3 * count, "--runs", 1))
        self.publish(0, 3 * count, rate=8)  # 125 ms apart; instances go after 10
        self.wait_records(3 * count, 10)
        from_publish = figures.latencies(self.records(), skip=1)
        return {"starts": 3 * count, "p50_us": told["latency_us"]["p50"], "from_publish_p50_us": from_publish["p50_us"],
                "whole_worker_us": self.whole_worker(3 * count)}

    def round_trips(self, count):
        """By a client; and by a function of the host, as `fanfare bench` has it (its own no-op function)."""
        told = json.loads(self.run("bench", "invoke", "--from-function", "--events", count, "--runs", 1))
        return {**super().round_trips(count), "from_function_p50_us": told["latency_us"]["p50"],
                "from_function_p99_us": told["latency_us"]["p99"]}

    def whole_worker(self, index):
        """A worker process that the only one's place is free for, and an event that waits for it."""
        worker = self.children("fanfare-worker")[0]
        argv = pathlib.Path(f"/proc/{worker}/cmdline").read_bytes().decode().split("\0")[:-1]
        words = pathlib.Path(f"/proc/{worker}/environ").read_bytes().decode().split("\0")[:-1]
        self.up.send_signal(signal.SIGSTOP)  # it would start the next one by itself
        self.kill_worker()
        before = self.record_count()
        self.publish(index, 1)
        began_ns = time.monotonic_ns()
        self.place.spawn("worker", argv, dict(word.split("=", 1) for word in words))
        self.wait_records(before + 1, 20)
        self.up.send_signal(signal.SIGCONT)
        return (next(at for found, at, _ in self.records() if found == index) - began_ns) / 1e3


class Fanfare(System):
    peer = "fanfare"
    keeps_results = True
    needs = ("redis-server",)
    durability_word = ""
    events = 900_000
    crash_events = 20_000
    patience_s = 5

    def version(self):
        return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def prepare(self):
        for command in (["cmake", "--preset", "release"],
                        ["cmake", "--build", "--preset", "release", "-j2", "--target", *TARGETS]):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()[-500:]}")

    def session(self, place, workers, measure):
        return FanfareSession(self, place, workers, measure)


COMMON = ("`fanfare up`, all defaults (as many slots as twice the processors), `ipc://`; C++ client library with two connections that keep two batches full "
          "(rates), one (latency, calls)")


class Fsync(Fanfare):
    key, name, durability, durability_word = "fanfare-fsync", "Fanfare fsync", "fsync", "fsync"
    settings = f"class `fsync`, the default, results in Redis; {COMMON}"


class Everysec(Fanfare):
    key, name, durability, durability_word = "fanfare-everysec", "Fanfare everysec", "crash", "everysec"
    settings = f"class `everysec`, results in Redis; {COMMON}"


class Memory(Fanfare):
    key, name, durability, durability_word = "fanfare-memory", "Fanfare memory", "memory", "memory"
    settings = f"class `memory`, results in Redis; {COMMON}"


class MemoryWithoutResults(Memory):
    key, name = "fanfare-memory-no-results", "Fanfare memory, no results"
    settings = f"class `memory`, `result.ttl = 0`, beside peers that keep none; {COMMON}"
    keeps_results = False


SYSTEMS = [Fsync(), Everysec(), Memory(), MemoryWithoutResults()]
