"""What the peers in Python have in common: a Redis that appends and syncs every second."""

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
