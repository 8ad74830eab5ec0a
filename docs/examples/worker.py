#!/usr/bin/python3
"""worker.py BROKER REDIS_SOCKET NAME: runs functions written in Python, as docs/protocol.md says

It takes the functions with `runtime = "provided"` and a `handler` that ends in .py: one file with a function
handle(event), which gets the event as a dict and returns bytes, or what becomes JSON. What it raises is a failure,
tried again unless the exception has a `retryable` that is false, and after `retry_after_ms` if it has that. Each
attempt is a process. Not here: on_success (such functions are left to others), batches, a store, progress, usage.
"""
import collections, ctypes, hashlib, json, os, re, resource, signal, socket, struct, sys, time, tomllib
import msgpack, zmq

BROKER, REDIS, NAME, SLOTS, GRACE = *sys.argv[1:4], os.cpu_count(), 30
EVENT = "source type subject options id time datacontenttype dataschema extensions data".split()
OK, FAILED, TIMEOUT, CRASHED, OUT_OF_MEMORY, INIT_FAILED, THROTTLED, DRAINED, CANCELLED = 0, 1, 2, 3, 4, 5, 17, 18, 19
RUNNING, QUIET, TERMINATING = 0, 1, 2
CUT = {TIMEOUT: ("Timeout", "it took longer than its timeout", True, None), DRAINED: ("", "", True, None),
       CANCELLED: ("Cancelled", "ended by an operator", False, None)}
UNITS = dict(ns=1e-6, us=1e-3, ms=1, s=1000, m=60000, h=3600000, d=86400000, b=1, kb=10**3, mb=10**6, gb=10**9,
             tb=10**12, kib=2**10, mib=2**20, gib=2**30, tib=2**40)

def redis(*words):  # the reply to one call, over a connection of its own; OSError: it may have been done or not
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(REDIS)
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        with connection.makefile("rb") as replies:
            head = replies.readline()
            reply = replies.read(int(head[1:]) + 2) if head[:1] == b"$" and head != b"$-1\r\n" else b""
            if not reply.endswith(b"\r\n"): raise OSError(head.decode().strip() or "the connection ended")
            return reply[:-2]

class Function:  # one generation of a deployed function
    def __init__(self, name, manifest, digest, generation, *_):
        toml, self.name, self.digest, self.source = tomllib.loads(manifest), name, digest, None
        result, self.handler = toml.get("result", {}), toml.get("handler", "")
        self.ours = toml.get("runtime") == "provided" and self.handler.endswith(".py") and "on_success" not in toml
        if not self.ours: return
        self.timeout = self.number(toml.get("timeout", "30s"), 1000) / 1000
        self.memory = self.number(toml.get("memory", "256MiB"))
        self.max_bytes = self.number(result.get("max_bytes", "1MiB"))
        self.ttl = self.number(result.get("ttl", "24h"), 1000) if self.max_bytes else 0

    @staticmethod
    def number(value, plain=1):  # "1.5s" in ms, "64KiB" in bytes, a number without a unit in `plain`
        number, unit = re.fullmatch(r"\s*([\d.]+)\s*(\w*)\s*", str(value)).groups()
        return int(float(number) * (UNITS[unit.lower()] if unit else plain))

    def fetch(self):  # its handler, out of its package
        package = redis("HGET", "fanfare:packages", self.digest)
        if hashlib.sha256(package).hexdigest() != self.digest: raise OSError("a package that is not its digest's")
        self.source = msgpack.unpackb(package)[self.handler][1]

class Attempt:  # one delivery in our hands
    pid = duration_us = peak_kb = 0
    log, log_is_cut = b"", False

    def __init__(self, function, delivery):
        self.function, self.started_ms = function, int(time.time() * 1000)
        (self.id, self.slot, self.entry_size, self.lane, self.origin, self.token, self.attempt, self.accepted_ms,
         self.ledger, self.event) = delivery[:10]
        self.key = [function.name, self.id, self.token]

    def start(self):
        if self.function.source is None: self.function.fetch()
        self.answer, self.output = (open(os.memfd_create(name), "w+b") for name in ("answer", "output"))
        self.pid, self.started, self.started_ms = os.fork(), time.monotonic(), int(time.time() * 1000)
        if self.pid == 0:
            try: self.run()
            finally: os._exit(1)
        os.setpgid(self.pid, self.pid)
        self.pidfd, self.cut_as, self.cut_at = os.pidfd_open(self.pid), TIMEOUT, self.started + self.function.timeout

    def run(self):  # in the child
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no attempt outlives its worker
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.dup2(self.output.fileno(), 1), os.dup2(self.output.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_DATA, (self.function.memory, self.function.memory))
        try:
            scope = {"__name__": self.function.name}
            exec(compile(self.function.source, self.function.handler, "exec"), scope)
            value = scope["handle"](dict(zip(EVENT, msgpack.unpackb(self.event))))
            content_type = "application/octet-stream" if isinstance(value, bytes) else "application/json"
            value = value if isinstance(value, bytes) else json.dumps(value).encode()
            if len(value) <= self.function.max_bytes: answer = [OK, value, content_type]
            else: answer = [FAILED, "ResultTooLarge", f"the result has {len(value)} bytes", False, None]
        except MemoryError: answer = [OUT_OF_MEMORY, "OutOfMemory", "it takes more than its memory", True, None]
        except Exception as e:
            more = getattr(e, "retryable", True), getattr(e, "retry_after_ms", None)
            answer = [FAILED, type(e).__name__, str(e)[:1024], *more]
        sys.stdout.flush(), sys.stderr.flush()
        self.answer.write(msgpack.packb(answer)), self.answer.flush()
        os._exit(0)

    def stop(self, outcome, grace):  # SIGTERM, and SIGKILL after `grace`
        if self.cut_as != TIMEOUT: return
        os.killpg(self.pid, signal.SIGTERM)
        self.cut_as, self.cut_at = outcome, time.monotonic() + grace

    def reap(self):  # how it ended: OK, result, type; or outcome, error type, message, retryable, retry_after_ms
        os.killpg(self.pid, signal.SIGKILL)  # what it has started ends with it
        _, status, usage = os.wait4(self.pid, 0)
        os.close(self.pidfd)
        self.duration_us, self.peak_kb = int((time.monotonic() - self.started) * 1e6), usage.ru_maxrss
        printed = self.output.seek(0, os.SEEK_END)
        self.log_is_cut = self.output.seek(max(0, printed - 4096)) > 0
        self.log = self.output.read()
        self.answer.seek(0)
        if status == 0: return msgpack.unpackb(self.answer.read())
        if self.cut_as != TIMEOUT or time.monotonic() >= self.cut_at: return self.cut_as, *CUT[self.cut_as]
        code = os.waitstatus_to_exitcode(status)
        return CRASHED, signal.Signals(-code).name if code < 0 else "Exited", f"it ended with {code}", True, None

class Worker:
    state, session, functions, socket, hello_at, number, commit_at = RUNNING, None, {}, None, 0, 0, 0

    def __init__(self):
        self.waiting, self.running, self.succeeded, self.calls = [], [], [], {}
        self.dones = collections.deque()  # what was reported, until it is acknowledged: number, message, keys
        for number in signal.SIGTERM, signal.SIGINT: signal.signal(number, self.terminate)

    def terminate(self, *_):  # at the second signal there is no grace
        self.ends_at, self.state = time.monotonic() + (0 if self.state == TERMINATING else GRACE), TERMINATING

    def send(self, *message):
        try: self.socket.send(msgpack.packb([1, *message]), zmq.NOBLOCK)
        except zmq.Again: pass  # as good as lost on the way

    def hello(self):  # on a new connection: what was sent over the old one, or comes from there, is over
        if self.socket: self.socket.close(linger=0)
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.connect(BROKER)
        self.session, self.hello_at = None, time.monotonic() + 5
        with open("/proc/sys/kernel/random/boot_id") as file: host = file.read().strip()
        with open("/proc/self/stat") as file: started = int(file.read().rpartition(")")[2].split()[19])
        held = [a.key for a in self.waiting + self.running + self.succeeded]
        held += [key for *_, keys in self.dones for key in keys]
        self.send(20, NAME, host, os.getpid(), started, SLOTS, held, self.state)

    def done(self, keys, rows, committed=()):
        self.number += 1
        self.dones.append((self.number, (25, self.number, rows, committed), keys))
        if self.session is not None: self.send(*self.dones[-1][1])

    def ended(self, a, outcome, value, detail, *more):
        ok = outcome == OK
        error = (None, None) if ok else (value, detail)
        row = msgpack.packb([a.attempt, outcome, a.started_ms, a.duration_us, False, 0, a.peak_kb, NAME, a.pid, *error])
        output = (value, detail) if ok else (b"", "")
        memory_mb = a.function.memory >> 20 if a.pid else 0
        a.record = msgpack.packb([int(not ok), *output, *error, a.ledger + row, a.log, a.log_is_cut, a.accepted_ms,
                                  int(time.time() * 1000), memory_mb, None])
        if ok and a.origin != 3: return self.succeeded.append(a)
        told = (None, b"", b"") if ok else ([value, detail, *more], row, a.log)
        self.done([a.key], [[*a.key, outcome, int(not ok), *told, a.record if a.origin == 3 else b""]])

    def message(self, kind, *fields):
        self.heard_at = time.monotonic()
        if kind in (21, 22):  # Welcome, Functions
            if kind == 21:
                self.session, self.hello_at, self.interval = fields[0], float("inf"), fields[2] / 1000
                self.received, self.credit = collections.Counter(), collections.Counter()
                self.delivers = self.beat_at = 0
                for _, message, _ in self.dones: self.send(*message)
            for function in self.functions.values(): function.ours = False  # what was removed ends as ever
            self.functions |= {row[0]: Function(*row) for row in fields[4 if kind == 21 else 0]}
        elif kind == 24 and self.session is not None:  # Deliver
            self.delivers += 1
            self.received[fields[0]] += len(fields[1])
            self.waiting += [Attempt(self.functions[fields[0]], row) for row in fields[1]]
        elif kind == 27 and fields[0] == self.session:  # HeartbeatAck
            while self.dones and self.dones[0][0] <= fields[1]: self.dones.popleft()
        elif kind == 29: self.hello_at = 0  # Reset
        elif kind == 30:  # Cancel
            named = [key[:3] for key in fields[0]]
            self.hand_back(CANCELLED, [a for a in self.waiting if a.key in named])
            for a in self.running: a.key in named and a.stop(CANCELLED, 1)
        elif kind == 31 and self.state != TERMINATING: self.state = QUIET if fields[0] else RUNNING
        elif kind == 9:  # Refused
            print("refused:", *fields[1:], file=sys.stderr)
            if self.session is None: self.hello_at = self.heard_at + 0.1

    def hand_back(self, outcome, attempts):
        self.waiting = [a for a in self.waiting if a not in attempts]
        for a in attempts: self.ended(a, outcome, *CUT[outcome])

    def work(self, now):
        if self.state == TERMINATING and now >= self.ends_at:
            for a in self.running: a.stop(DRAINED, 1)
        for a in self.running: now >= a.cut_at and os.killpg(a.pid, signal.SIGKILL)
        for a in self.waiting: a.function = self.functions[a.function.name]  # deployed anew, or removed, meanwhile?
        self.hand_back(DRAINED, [a for a in self.waiting if self.state != RUNNING or not a.function.ours])
        while self.waiting and len(self.running) < SLOTS:
            a = self.waiting.pop(0)
            try: a.start()
            except OSError as e: self.ended(a, THROTTLED, "Throttled", str(e), True, None)
            except KeyError as e: self.ended(a, INIT_FAILED, "NoHandler", f"its package has no {e}", False, None)
            else: self.running.append(a)
        for function in {a.function.name for a in self.succeeded if now >= self.commit_at}: self.commit(function)

    def commit(self, function):  # the call without a reply goes out again as it was, before any other
        self.calls[function] = call, groups = self.calls.get(function) or self.call(function)
        attempts = [a for group in groups.values() for a in group]
        try: verdicts = redis(*call)
        except OSError as e:  # again in a while; it stays a success
            self.commit_at = time.monotonic() + 0.2
            return print(function, "is not committed yet:", e, file=sys.stderr)
        if len(verdicts) != len(attempts) or max(verdicts) > 3: raise RuntimeError(f"{call} is answered {verdicts}")
        del self.calls[function]  # whatever the verdicts: these are over
        self.succeeded = [a for a in self.succeeded if a not in attempts]
        self.done([a.key for a in attempts], [], [
            [function, entry, b"".join(struct.pack(">BI", a.id[2], a.token) for a in group)]
            for (entry, *_), group in groups.items()])

    def call(self, function):  # fanfare2_commit of what fits into a call, and its deliveries by group
        chosen, size = {}, 0
        for a in self.succeeded:  # of two attempts of a delivery the second waits: Redis decides between them
            if a.function.name != function or tuple(a.id) in chosen: continue
            size += len(a.record) + 100
            if chosen and (len(chosen) == 256 or size > 2**18 or a.function.ttl != ttl): break
            chosen[tuple(a.id)], ttl = a, a.function.ttl
        groups = collections.defaultdict(list)
        for _, a in sorted(chosen.items()): groups[tuple(a.id[:2]), a.lane, a.origin].append(a)
        prefix, heads, values = "fanfare:{%s}:" % function, [], []
        keys = [prefix + "counts", prefix + "later", prefix + "later:rows"]
        for ((ms, seq), lane, origin), group in groups.items():
            n, lane = len(group), f"{lane // 17}.{lane % 17 - 1}" if lane % 17 else f"{lane // 17}"
            keys += [f"{prefix}journal:{lane}", f"{prefix}open:{lane}", f"{prefix}results:{ms}-{seq}"]
            columns = [a.slot for a in group] + [a.id[2] for a in group] + [a.token for a in group]
            size = group[0].entry_size if origin == 0 else n
            heads += [f"{ms}-{seq}", struct.pack(f">BHH{n}B{n}B{n}I", origin, size, n, *columns)]
            for a in group if ttl else (): values += [a.id[2], struct.pack(">I", a.token) + a.record]
        return ["FCALL", "fanfare2_commit", len(keys), *keys, ttl, *heads, *values], groups

    def tell(self, now):
        if now >= self.hello_at or self.session is not None and now > self.heard_at + 4 * self.interval: self.hello()
        if self.session is None: return
        mine = self.waiting + self.running + self.succeeded
        have, busy = (collections.Counter(a.function.name for a in some) for some in (mine, self.running))
        ours = [name for name, function in self.functions.items() if function.ours]
        for name in ours if self.state == RUNNING else ():
            total = self.received[name] + max(0, 2 * SLOTS - have[name])
            if total > self.credit[name]: self.send(23, [[name, total, True]])
            self.credit[name] = max(total, self.credit[name])
        if now >= self.beat_at or self.told != self.state or self.state == TERMINATING and not mine:
            rows = [[name, busy[name], busy[name], have[name] - busy[name]] for name in ours]
            running = [[*a.key, int((now - a.started) * 1000), None, ""] for a in self.running[:256]]
            self.send(26, self.session, self.delivers, rows, running, self.state)
            self.beat_at, self.told = now + self.interval, self.state

    def main(self):
        while True:
            self.tell(time.monotonic())
            poller = zmq.Poller()
            for it in self.socket, *(a.pidfd for a in self.running): poller.register(it, zmq.POLLIN)
            ready = dict(poller.poll(100))
            while self.socket.poll(0): self.message(*msgpack.unpackb(self.socket.recv())[1:])
            for a in [a for a in self.running if a.pidfd in ready]:
                self.running.remove(a)
                self.ended(a, *a.reap())
            self.work(now := time.monotonic())
            if self.state != TERMINATING or self.running: continue
            if not (self.succeeded or self.dones) or now > self.ends_at + 5:
                if self.session is not None and not self.succeeded: self.send(28, self.session)  # Bye
                return self.socket.close(linger=1000)

Worker().main()
