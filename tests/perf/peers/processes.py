"""The processes of a cell: started here, ended here, whatever happens.

Everything started, and all that it starts, becomes a descendant of this process even when its own parent
has gone (PR_SET_CHILD_SUBREAPER), so that `end_all` finds and kills it: nothing outlives a cell.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

_PR_SET_CHILD_SUBREAPER = 36


class CellTimeout(Exception):
    """A cell took longer than it may."""


def become_subreaper():
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(of=None):
    """Pids, children before grandchildren."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = list(children.get(of or os.getpid(), []))
    for pid in found:
        found += children.get(pid, [])
    return found


def reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_all():
    """Kills every descendant; returns when none is left (5 s at most)."""
    for _ in range(500):
        left = descendants()
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(0.01)


def kill_hard(pids):
    """kill -9, and returns when they have gone with all they held: ports too (5 s at most)."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while any(map(_runs, pids)) and time.monotonic() < end:
        time.sleep(0.002)


def _runs(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


def pss_kb(pids):
    """Memory of processes: what they share counts once, in parts."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def busy_share(seconds=0.25):
    """The share of all processors that was used for so long."""

    def sample():
        fields = list(map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
        return sum(fields), fields[3] + fields[4]

    total, idle = sample()
    time.sleep(seconds)
    total, idle = (after - before for after, before in zip(sample(), (total, idle)))
    return 1 - idle / max(total, 1)


class Quiet:
    """Waits until others use little of the machine: no longer than `limit_s` before a cell, nor than `budget_s` in
    all, so that a machine which never is quiet does not double the time."""

    def __init__(self, limit_s, budget_s, share=0.15):
        self.limit_s, self.left_s, self.share = limit_s, budget_s, share

    def wait(self):
        """The share that was used when the wait ended."""
        began = time.monotonic()
        end = began + min(self.limit_s, self.left_s)
        while (busy := busy_share()) > self.share and time.monotonic() < end:
            pass
        self.left_s = max(0, self.left_s - (time.monotonic() - began))
        return busy


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until(true, seconds, what, every=0.01):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s {what()}")
        time.sleep(every)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


@contextlib.contextmanager
def alarm(seconds):
    """Ends what runs within, by CellTimeout, after so many seconds."""

    def late(_signal, _frame):
        raise CellTimeout(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def undisturbed():
    """Ctrl-C and SIGTERM wait until what is within has been done."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Place:
    """A cell's folders: `disk` for what servers keep, `records` in memory for what functions write."""

    def __init__(self):
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="fanfare-compare-", dir="/var/tmp"))
        self.records = pathlib.Path(tempfile.mkdtemp(prefix="fanfare-compare-", dir="/dev/shm"))
        self.disk.chmod(0o755)
        self.records.chmod(0o777)  # functions may run as another user

    def remove(self):
        for folder in (self.disk, self.records):
            shutil.rmtree(folder, ignore_errors=True)

    def log(self, name):
        return self.disk / f"{name}.log"

    def spawn(self, name, argv, env=None):
        """In a session of its own, so that a Ctrl-C is met here alone; output goes to a log."""
        with open(self.log(name), "ab") as log:
            return subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env={**os.environ, **(env or {})}, cwd=self.disk, start_new_session=True)

    def last_words(self, name, lines=3):
        with contextlib.suppress(OSError):
            words = self.log(name).read_text(errors="replace").strip().splitlines()[-lines:]
            return " / ".join(word.strip()[:160] for word in words)
        return ""
