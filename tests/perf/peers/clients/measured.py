"""What measured.h is to clients in C, for those in Python: payload, function, record, arguments."""

import json
import os
import struct
import sys
import time

PAYLOAD_BYTES = 200
RESULT_BYTES = 64
TOGETHER = 500  # events added by one call

_record = struct.Struct("<qqq")
_records = None


def payload(index, pause_us, stamp_ns=None):
    stamp_ns = stamp_ns or time.monotonic_ns()  # CLOCK_MONOTONIC
    return f"{index} {stamp_ns} {pause_us} ".ljust(PAYLOAD_BYTES, "x")


def append(fd, index, at_ns, stamp_ns):
    os.write(fd, _record.pack(index, at_ns, stamp_ns))


def records():
    """Opened once in each process; COMPARE_RECORDS says where."""
    global _records
    if _records is None:
        _records = os.open(os.environ["COMPARE_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return _records


def execute(text):
    at_ns = time.monotonic_ns()
    index, stamp_ns, pause_us, _ = text.split(" ", 3)
    if pause_us != "0":
        time.sleep(int(pause_us) / 1e6)
    append(records(), int(index), at_ns, int(stamp_ns))
    return index.ljust(RESULT_BYTES, "x")


def publish(add, first, count, rate, pause_us):
    """`add` takes a list of payloads and returns when they are accepted."""
    began_ns = time.monotonic_ns()
    sent = 0
    while sent < count:
        if rate > 0:
            ahead_ns = began_ns + sent * 10**9 // rate - time.monotonic_ns()
            if ahead_ns > 0:
                time.sleep(ahead_ns / 1e9)
        together = 1 if rate > 0 else min(TOGETHER, count - sent)
        add([payload(first + sent + i, pause_us) for i in range(together)])
        sent += together
    print(json.dumps({"acknowledged": count, "first_ns": began_ns, "last_ns": time.monotonic_ns()}))


def call(one, first, count, file):
    """`one` takes a payload and returns the result."""
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for i in range(count):
        stamp_ns = time.monotonic_ns()
        if len(one(payload(first + i, 0, stamp_ns))) != RESULT_BYTES:
            sys.exit("not a result")
        append(fd, first + i, time.monotonic_ns(), stamp_ns)


def main(publisher, caller, work):
    """Each takes the address; `work` never returns."""
    address, verb, *rest = sys.argv[1:]
    if verb == "publish":
        publish(publisher(address), *map(int, rest))
    elif verb == "call":
        call(caller(address), int(rest[0]), int(rest[1]), rest[2])
    else:
        os.environ["COMPARE_RECORDS"] = rest[0]
        work(address)
