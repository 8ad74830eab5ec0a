"""RQ's client. Address: the socket of Redis. Jobs are enqueued by 500; the worker is a SimpleWorker, which runs jobs in its
own process; RQ 1.13 cannot wait for a result, so a call asks every millisecond."""

import time

import measured
from redis import Redis
from rq import Queue, SimpleWorker


def run(text):
    return measured.execute(text)


def queue_of(address):
    return Queue("measured", connection=Redis(unix_socket_path=address))


def publisher(address):
    queue = queue_of(address)

    def add(payloads):
        queue.enqueue_many([Queue.prepare_data("rq_jobs.run", (one,), result_ttl=600) for one in payloads])

    return add


def caller(address):
    queue = queue_of(address)

    def call(payload):
        job = queue.enqueue("rq_jobs.run", payload, result_ttl=600)
        while job.get_status() not in ("finished", "failed"):
            time.sleep(0.001)
        return job.result

    return call


def work(address):
    SimpleWorker([queue_of(address)], connection=Redis(unix_socket_path=address)).work(logging_level="ERROR")


if __name__ == "__main__":
    measured.main(publisher, caller, work)
