"""RQ."""

from peers import redis
from peers.in_python import InPython


class RQ(InPython):
    key, name, peer, module = "rq", "RQ", "rq", "rq"
    settings = ("Redis with `appendfsync everysec`, Unix socket, hiredis; enqueue_many of 500; SimpleWorker, which runs jobs in its own "
                "process (the default forks for each: a tenth of it); a call asks every millisecond; publish → start at 100/s")
    events, crash_events, call_events, latency_rate = 2_000, 600, 150, 100

    def stored(self, place):
        return redis.ask(place.disk / "redis.sock", "ZCARD", "rq:finished:measured")


SYSTEMS = [RQ()]
