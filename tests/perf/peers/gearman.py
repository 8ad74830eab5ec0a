"""gearmand with its own queue in memory."""

import subprocess

from peers import processes
from peers.system import CClient, System


class Gearmand(CClient, System):
    key, name, peer, durability = "gearmand", "gearmand", "gearman", "memory"
    settings = ("TCP, 4 threads, libgearman; background jobs added by 500 and run together, round trips are foreground "
                "jobs; background results are dropped by the server")
    needs = ("gearmand",)
    files = ("/usr/include/libgearman/gearman.h",)
    library = "gearman"
    events = 50_000
    patience_s = 3  # a connection that breaks gives its jobs back at once
    port = 0

    def version(self):
        return subprocess.run(["gearmand", "--version"], capture_output=True, text=True).stdout.split()[1]

    def session(self, place, workers, measure):
        self.port = processes.free_port()
        return super().session(place, workers, measure)

    def servers(self, place):
        return [("gearmand", ["gearmand", "--listen=127.0.0.1", f"--port={self.port}", "--threads=4",
                              f"--log-file={place.log('gearmand-own')}"], {})]

    def ready(self, place, name):
        return processes.listens(self.port)

    def client(self, place):
        return [self.program(), self.port]


SYSTEMS = [Gearmand()]
