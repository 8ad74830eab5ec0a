"""Celery."""

from peers.in_python import InPython


class Celery(InPython):
    key, name, peer, module = "celery", "Celery", "celery", "celery"
    settings = ("Redis with `appendfsync everysec` as broker and result backend, Unix socket, hiredis; one `-P solo -c 1` process per "
                "worker, prefetch 16, acks_late, visibility_timeout 5 s, no gossip, mingle, heartbeat; JSON; publish → start at 300/s")
    events, crash_events, call_events, latency_rate = 4_000, 1_000, 300, 300

    def client_environment(self, place):
        return {"COMPARE_ADDRESS": str(place.disk / "redis.sock")}


SYSTEMS = [Celery()]
