"""One server with its workers and data, made for one cell and gone with it."""

import contextlib
import json
import os
import signal
import subprocess
import time

from peers import figures, processes


class Session:
    """Servers and workers of a cell, as plain child processes."""

    def __init__(self, system, place, workers):
        self.system, self.place = system, place
        self.servers, self.workers, self.started = {}, [], 0
        self.start_servers()
        for _ in range(workers):
            self.start_worker()

    def close(self):
        for one in self.workers + list(self.servers.values()):
            if one.poll() is None:
                one.send_signal(signal.SIGKILL)
        processes.end_all()

    def start_servers(self):
        for name, argv, env in self.system.servers(self.place):
            self.servers[name] = process = self.place.spawn(name, argv, env)

            def is_ready():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {self.place.last_words(name)}")
                return self.system.ready(self.place, name)

            processes.wait_until(is_ready, 45, lambda: f"{name} is not ready: {self.place.last_words(name)}")

    def client(self):
        return [*self.system.client(self.place)]

    def start_worker(self):
        """Returns its start, CLOCK_MONOTONIC in ns."""
        self.started += 1
        records = self.place.records / f"worker-{self.started}"
        began_ns = time.monotonic_ns()
        self.workers.append(self.place.spawn(f"worker-{self.started}", [*self.client(), "work", records],
                                             self.system.client_environment(self.place)))
        return began_ns

    def server_pids(self):
        pids = [process.pid for process in self.servers.values()]
        return pids + [pid for server in pids for pid in processes.descendants(server)]

    def worker_pids(self):
        """Of each worker all processes."""
        return [[one.pid, *processes.descendants(one.pid)] for one in self.workers if one.poll() is None]

    def kill_server(self):
        processes.kill_hard(self.server_pids())
        for process in self.servers.values():
            process.wait()

    def restart_server(self):
        self.start_servers()

    def kill_worker(self):
        """One of them, with all its processes."""
        victim = self.workers.pop(0)
        processes.kill_hard([victim.pid, *processes.descendants(victim.pid)])
        victim.wait()

    def signal_workers(self, one):
        for pids in self.worker_pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, one)

    def hold_workers(self):
        """Nothing runs until they are released."""
        self.signal_workers(signal.SIGSTOP)

    def release_workers(self):
        self.signal_workers(signal.SIGCONT)

    def stop_workers(self):
        while self.workers:
            self.kill_worker()

    def worker_starts(self, count):
        """How long each of so many took, one after the other: an event waits, a worker is started; from before
        its fork to the function's first line."""
        took = []
        for index in range(count):
            self.publish(index, 1)
            began_ns = self.start_worker()
            self.wait_records(index + 1, 20)
            at_ns = next(at for found, at, _ in self.records() if found == index)
            took.append((at_ns - began_ns) / 1e3)
            time.sleep(0.3)  # what it has to say of the event's end is said
            self.kill_worker()
        return {"starts": count, "p50_us": figures.percentile(took, 50), "least_us": min(took)}

    def replace_ended_workers(self):
        """Clients that cannot reconnect end with their server: whoever runs them starts them again."""
        for ended in [one for one in self.workers if one.poll() is not None]:
            self.workers.remove(ended)
            self.start_worker()

    # What every session does, whatever it is made of.
    def publisher(self, first, count, rate=0, pause_us=0):
        return subprocess.Popen([*map(str, self.client()), "publish", str(first), str(count), str(rate), str(pause_us)],
                                env={**os.environ, **self.system.client_environment(self.place)}, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
                                stderr=open(self.place.log("publisher"), "ab"))

    def told(self, publisher):
        out = publisher.communicate()[0]
        if publisher.returncode != 0:
            raise RuntimeError(f"the publisher failed: {self.place.last_words('publisher')}")
        return json.loads(out.strip().splitlines()[-1])

    def publish(self, first, count, rate=0, pause_us=0):
        return self.told(self.publisher(first, count, rate, pause_us))

    def call(self, first, count):
        """The records of so many calls, one after the other."""
        file = self.place.records / "calls"
        log = self.place.log("caller")
        with open(log, "ab") as errors:
            done = subprocess.run([*map(str, self.client()), "call", str(first), str(count), str(file)],
                                  env={**os.environ, **self.system.client_environment(self.place)},
                                  stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True)
        if done.returncode != 0:
            raise RuntimeError(f"the caller failed: {self.place.last_words('caller')}")
        return figures.records([file.read_bytes()])

    def round_trips(self, count):
        self.call(figures.WARM_UP, 20)
        found = self.call(0, count)
        figures.complete(found, count)
        return {"calls": count, **figures.latencies(found, skip=count // 20)}

    def record_files(self):
        return [path for path in self.place.records.iterdir() if path.name != "calls"]

    def record_count(self):
        return sum(path.stat().st_size for path in self.record_files()) // figures.RECORD.size

    def records(self):
        return figures.records([path.read_bytes() for path in self.record_files()])

    def warm_up(self):
        """Until every worker has run something; returns how many records that were."""
        published, end = 0, time.monotonic() + 30
        while True:
            count = 40 * max(1, len(self.workers))
            self.publish(figures.WARM_UP + published, count)
            published += count
            self.wait_records(published, 20)
            used = [path for path in self.record_files() if path.stat().st_size > 0]
            if len(used) >= len(self.workers):
                return published
            if time.monotonic() > end:
                raise TimeoutError(f"only {len(used)} of {len(self.workers)} workers have begun: "
                                   f"{self.place.last_words(f'worker-{self.started}')}")

    def wait_records(self, count, seconds):
        processes.wait_until(lambda: self.record_count() >= count, seconds,
                             lambda: f"there are not {count} executions: "
                             f"{self.place.last_words(f'worker-{self.started}')}")

    def wait_stored(self, count):
        """When so many results had been stored (ns); 0 where nobody can be asked."""
        if self.system.stored(self.place) is None:
            return 0
        processes.wait_until(lambda: self.system.stored(self.place) >= count, 20,
                             lambda: f"there are not {count} results", every=0.003)
        return time.monotonic_ns()
