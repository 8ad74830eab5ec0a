"""The measures of tests/perf/compare: each takes a session of a system and gives figures."""

import contextlib
import time

from peers import figures, processes


def scaled(count, quick, least=1):
    return max(least, count // 10) if quick else count


def rate(session, system, quick):
    """Publisher, server and workers at once, on the same processors; about three seconds, however fast that is. How
    many events those are is probed: by ever more of them, until they take half a second and the start of it all is
    little of that."""
    before = session.warm_up()
    probe, published, took_s, per_s = max(50, system.events // 50), 0, 0.0, 0.0
    while took_s < 0.5 and probe <= system.events and not (quick and published):
        told = session.publish(figures.WARM_UP + before + published, probe)
        published += probe
        session.wait_records(before + published, 30)
        took_s = (time.monotonic_ns() - told["first_ns"]) / 1e9
        per_s, probe = probe / took_s, 4 * probe
    session.wait_stored(before + published)
    count = scaled(int(min(system.events, max(100, per_s * 3))), quick, 50)
    told = session.publish(0, count)
    session.wait_records(before + published + count, 40)
    return {"events": count, **figures.rates(session.records(), told, session.wait_stored(before + published + count))}


def latency(session, system, quick):
    """An open loop at a steady rate, one worker."""
    before = session.warm_up()
    count = scaled(3 * system.latency_rate, quick, 100)
    session.publish(0, count, rate=system.latency_rate)
    session.wait_records(before + count, 20)
    found = session.records()
    figures.complete(found, count)
    return {"events": count, "rate": system.latency_rate, **figures.latencies(found, skip=count // 20)}


def round_trip(session, system, quick):
    """Calls back to back by one client, one worker."""
    session.warm_up()
    return session.round_trips(scaled(system.call_events, quick, 50))


def worker_start(session, system, quick):
    return session.worker_starts(scaled(system.starts, quick, 3))


def memory(session, system, quick):
    """Two idle workers' own, then the server's for events that wait."""
    session.warm_up()
    time.sleep(1)
    workers = [processes.pss_kb(pids) for pids in session.worker_pids()]
    session.stop_workers()
    time.sleep(0.5)
    count = scaled(system.queued, quick, 1000)
    before = processes.pss_kb(session.server_pids())
    session.publish(0, count)
    time.sleep(0.5)
    after = processes.pss_kb(session.server_pids())
    return {"idle_worker_kb": sum(workers) / len(workers), "server_kb": before, "queued": count,
            "bytes_per_queued": 1024 * (after - before) / count}


def kill(session, system, quick, strike):
    """All events are acknowledged while nothing runs; a quarter has run when `strike` kills; then until all have
    run, or nothing has moved for the system's patience."""
    before = session.warm_up()
    count = scaled(system.crash_events, quick, 200)
    session.hold_workers()
    session.publish(0, count, pause_us=system.pause_us)
    session.release_workers()
    session.wait_records(before + count // 4, 30)
    began = time.monotonic()
    at_kill = len({index for index, _, _ in session.records()})
    strike(session)
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < system.patience_s:
        ran = len({index for index, _, _ in session.records()})
        if ran >= count:
            break
        if ran != last:
            last, moved = ran, time.monotonic()
        session.replace_ended_workers()
        time.sleep(0.05)
    ended = time.monotonic()
    if at_kill > count * 0.9:
        raise figures.Unusable(f"{at_kill} of {count} had run before anything was killed")
    time.sleep(0.5)  # repeats that are on their way
    lost, repeated = figures.lost_and_repeated(session.records(), count)
    return {"events": count, "ran_before": at_kill, "lost": lost, "repeated": repeated,
            "until_all_ran_s": None if lost else ended - began}


def server_kill(session, system, quick):
    def strike(session):
        session.kill_server()
        time.sleep(0.1)
        session.restart_server()

    return kill(session, system, quick, strike)


def worker_kill(session, system, quick):
    return kill(session, system, quick, lambda session: session.kill_worker())


# name: (function, workers, longest seconds of a cell)
MEASURES = {
    "rate-1": (rate, 1, 75),
    "rate-2": (rate, 2, 75),
    "latency": (latency, 1, 60),
    "round-trip": (round_trip, 1, 60),
    "worker-start": (worker_start, 0, 60),
    "memory": (memory, 2, 60),
    "server-kill": (server_kill, 2, 90),
    "worker-kill": (worker_kill, 2, 90),
}


def cell(system, measure, round_, quick, quiet):
    """One cell: never raises but for an interrupt; what went wrong is its `failed`."""
    one = {"system": system.key, "measure": measure, "round": round_}
    why = system.kept_out.get(measure) or ("it has no calls" if measure == "round-trip" and not system.calls else "")
    if why:
        return {**one, "left_out": why}
    function, workers, limit_s = MEASURES[measure]
    one["busy_before"] = round(quiet.wait(), 3)
    began = time.monotonic()
    place = processes.Place()
    session = None
    try:
        with processes.alarm(limit_s):
            session = system.session(place, workers, measure)
            one["figures"] = function(session, system, quick)
    except Exception as error:  # whatever it is: it is told, and the next cell is another matter
        one["failed"] = f"{type(error).__name__}: {error}"
    finally:
        with processes.undisturbed():
            with contextlib.suppress(Exception), processes.alarm(30):
                if session:
                    session.close()
            processes.end_all()
            place.remove()
    one["seconds"] = round(time.monotonic() - began, 1)
    return one
