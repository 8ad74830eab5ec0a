"""What the peers on Node have in common: a Redis that appends and syncs every second."""

import json

from peers import redis
from peers.system import CLIENTS, System

SETTINGS = "Redis with `appendfsync everysec`, Unix socket; 500 jobs added at once, two such under way; 50 jobs at once in a worker"


class OnNode(System):
    durability, keeps_results = "crash", True
    needs = ("node", "redis-server")
    package = completed = count = ""
    events, queued, crash_events, call_events, starts = 30_000, 30_000, 6_000, 1_000, 4
    pause_us = 5000  # 50 at once, and Node sleeps milliseconds
    patience_s = 14  # dead workers' jobs are found after 5 s, and again
    measure = ""

    def missing(self):
        folder = CLIENTS / "node_modules" / self.package
        return super().missing() or ("" if folder.exists() else f"{self.package} is not installed (ops/setup --peers)")

    def version(self):
        return json.loads((CLIENTS / "node_modules" / self.package / "package.json").read_text())["version"]

    def session(self, place, workers, measure):
        self.measure = measure
        return super().session(place, workers, measure)

    def servers(self, place):
        return [redis.server(place)]

    def ready(self, place, name):
        return redis.ready(place)

    def client(self, place):
        return ["node", CLIENTS / f"{self.peer.replace('-', '_')}.mjs", place.disk / "redis.sock"]

    def client_environment(self, place):
        return {"COMPARE_CALLS": "1" if self.measure == "round-trip" else "0"}

    def stored(self, place):
        return redis.ask(place.disk / "redis.sock", self.count, self.completed)
