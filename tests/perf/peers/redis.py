"""The Redis of peers that need one, and a few words with it."""

import socket
import subprocess

# As operators run it for queues: nothing but the append-only file.
SETTINGS = ["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"]


def version():
    return subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split("v=")[1].split()[0]


def server(place):
    return ("redis-server", ["redis-server", "--dir", place.disk, "--unixsocket", place.disk / "redis.sock", *SETTINGS], {})


def ask(path, *words):
    """The answer to one command: an int, a text or None."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(str(path))
        parts = [str(word).encode() for word in words]
        one.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        answer = one.makefile("rb")
        line = answer.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else answer.read(int(rest)).decode()
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return rest.decode()


def ready(place):
    try:
        return ask(place.disk / "redis.sock", "PING") == "PONG"
    except (OSError, RuntimeError):
        return False
