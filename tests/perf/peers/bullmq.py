"""BullMQ."""

from peers.on_node import SETTINGS, OnNode


class BullMQ(OnNode):
    key = peer = package = "bullmq"
    name = "BullMQ"
    settings = f"ioredis; {SETTINGS}; lockDuration and stalledInterval 5 s (default 30)"
    completed, count = "bull:measured:completed", "ZCARD"


SYSTEMS = [BullMQ()]
