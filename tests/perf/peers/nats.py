"""NATS JetStream, with its streams in files and in memory."""

import subprocess

from peers import processes
from peers.system import CClient, System

COMMON = ("TCP, C library; work-queue stream, 4,096 publishes unacknowledged; one durable pull consumer, 256 fetched at a time, "
          "each acknowledged without waiting for an answer, AckWait 5 s; for latencies and starts a push consumer and SendAsap, "
          "which are quicker there; round trips are core requests, which nothing stores")


class Nats(CClient, System):
    peer = "nats"
    needs = ("nats-server",)
    files = ("/usr/include/nats/nats.h",)
    library = "nats"
    storage = ""
    port, prompt = 0, ""

    def version(self):
        return subprocess.run(["nats-server", "--version"], capture_output=True, text=True).stdout.split("v")[-1].strip()

    def session(self, place, workers, measure):
        self.port = processes.free_port()
        self.prompt = ":prompt" if measure in ("latency", "round-trip", "worker-start") else ""
        return super().session(place, workers, measure)

    def servers(self, place):
        return [("nats-server", ["nats-server", "--addr", "127.0.0.1", "--port", self.port, "--jetstream",
                                 "--store_dir", place.disk / "jetstream"], {})]

    def ready(self, place, name):
        return processes.listens(self.port)

    def client(self, place):
        return [self.program(), f"{self.port}:{self.storage}{self.prompt}"]


class File(Nats):
    key, name, durability, storage = "nats-file", "NATS JetStream, file", "crash", "file"
    settings = f"file storage, fsync every 2 minutes (`sync_interval` as it comes; this version has none per write); {COMMON}"


class Memory(Nats):
    key, name, durability, storage = "nats-memory", "NATS JetStream, memory", "memory", "memory"
    settings = f"memory storage; {COMMON}"


SYSTEMS = [File(), Memory()]
