"""beanstalkd, with its binlog."""

import subprocess

from peers.system import CClient, System


class Beanstalkd(CClient, System):
    name = "beanstalkd"
    peer = "beanstalkd"
    calls = False
    needs = ("beanstalkd",)
    patience_s = 3  # a connection that breaks gives its jobs back at once
    binlog = []

    def version(self):
        return subprocess.run(["beanstalkd", "-v"], capture_output=True, text=True).stdout.split()[-1]

    def servers(self, place):
        (place.disk / "binlog").mkdir(exist_ok=True)
        (place.disk / "socket").unlink(missing_ok=True)
        binlog = [*self.binlog, "-b", place.disk / "binlog"] if self.binlog else []
        return [("beanstalkd", ["beanstalkd", "-l", f"unix:{place.disk}/socket", *binlog], {})]

    def ready(self, place, name):
        return (place.disk / "socket").exists()

    def client(self, place):
        return [self.program(), place.disk / "socket"]


COMMON = "Unix socket, raw C client, 200 puts pipelined, deletion and next reservation in one packet"


class SyncEach(Beanstalkd):
    key, name, durability = "beanstalkd-f0", "beanstalkd -f 0", "fsync"
    settings = f"`-b -f 0`: fsync before each answer; {COMMON}"
    binlog = ["-f", "0"]
    events, queued, crash_events = 8_000, 2_000, 1_000


class SyncLater(Beanstalkd):
    key, name, durability = "beanstalkd-f50", "beanstalkd -f 50", "crash"
    settings = f"`-b -f 50`: fsync every 50 ms; {COMMON}"
    binlog = ["-f", "50"]


class Memory(Beanstalkd):
    key, name, durability = "beanstalkd-memory", "beanstalkd", "memory"
    settings = f"without a binlog; {COMMON}"


SYSTEMS = [SyncEach(), SyncLater(), Memory()]
