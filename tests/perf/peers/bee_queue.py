"""bee-queue."""

from peers.on_node import SETTINGS, OnNode


class BeeQueue(OnNode):
    key = name = peer = package = "bee-queue"
    settings = f"{SETTINGS}; events of jobs only for round trips; stallInterval 5 s"
    completed, count = "bq:measured:succeeded", "SCARD"


SYSTEMS = [BeeQueue()]
