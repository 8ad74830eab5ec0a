"""The peers in Python: Celery and RQ, with a Redis that appends and syncs every second."""

import subprocess

from peers import redis
from peers.system import CLIENTS, PYTHON, System


class InPython(System):
    durability, keeps_results = "crash", True
    needs = ("redis-server",)
    module = ""
    pause_us = 0  # they take long enough
    patience_s = 14
    queued, starts = 20_000, 4

    def missing(self):
        found = subprocess.run([PYTHON, "-c", f"import {self.module}"], capture_output=True)
        return super().missing() or ("" if found.returncode == 0 else f"python3-{self.module} is not installed (ops/setup --peers)")

    def version(self):
        return subprocess.run([PYTHON, "-c", f"import {self.module}; print({self.module}.__version__)"], capture_output=True,
                              text=True).stdout.strip()

    def servers(self, place):
        return [redis.server(place)]

    def ready(self, place, name):
        return redis.ready(place)

    def client(self, place):
        return [PYTHON, "-B", CLIENTS / f"{self.module}_jobs.py", place.disk / "redis.sock"]


class Celery(InPython):
    key, name, peer, module = "celery", "Celery", "celery", "celery"
    settings = ("Redis with `appendfsync everysec` as broker and result backend, Unix socket, hiredis; one `-P solo -c 1` process per "
                "worker, prefetch 16, acks_late, visibility_timeout 5 s, no gossip, mingle, heartbeat; JSON")
    events, crash_events, call_events, latency_rate = 4_000, 1_000, 300, 300

    def client_environment(self, place):
        return {"COMPARE_ADDRESS": str(place.disk / "redis.sock")}


class RQ(InPython):
    key, name, peer, module = "rq", "RQ", "rq", "rq"
    settings = ("Redis with `appendfsync everysec`, Unix socket, hiredis; enqueue_many of 500; SimpleWorker, which runs jobs in its own "
                "process (the default forks for each: a tenth of it); a call asks every millisecond")
    events, crash_events, call_events, latency_rate = 2_000, 600, 150, 100

    def stored(self, place):
        return redis.ask(place.disk / "redis.sock", "ZCARD", "rq:finished:measured")


SYSTEMS = [Celery(), RQ()]
