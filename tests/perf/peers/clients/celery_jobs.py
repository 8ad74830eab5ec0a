"""Celery's client. Address: the socket of Redis, which is broker and result backend; COMPARE_ADDRESS has it where
Celery loads this itself. Tasks are acknowledged when they have run; a dead worker's come back after 5 s."""

import os
import sys

import measured
from celery import Celery

address = os.environ.get("COMPARE_ADDRESS") or sys.argv[1]
app = Celery("celery_jobs", broker=f"redis+socket://{address}", backend=f"redis+socket://{address}")
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"], task_acks_late=True,
                task_reject_on_worker_lost=True, worker_prefetch_multiplier=16, worker_send_task_events=False,
                broker_transport_options={"visibility_timeout": 5}, broker_connection_retry_on_startup=True)


@app.task(name="measured")
def run(text):
    return measured.execute(text)


def publisher(_address):
    def add(payloads):
        # One connection for all; no subscription to a result that nobody waits for.
        with app.producer_pool.acquire(block=True) as producer:
            for one in payloads:
                run.apply_async((one,), producer=producer, ignore_result=False)

    return add


def caller(_address):
    return lambda payload: run.delay(payload).get(timeout=10)


def work(_address):
    app.worker_main(["worker", "-P", os.environ.get("COMPARE_POOL", "solo"), "-c", "1", "--without-gossip", "--without-mingle",
                     "--without-heartbeat", "-l", "ERROR", "-n", f"worker-{os.getpid()}"])


if __name__ == "__main__":
    measured.main(publisher, caller, work)
