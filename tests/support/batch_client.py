"""A program that hands texts over and takes vectors in, in children of which each is killed at another point.

`python batch_client.py URL CACHE TEXTS KILLS`: each child has some texts more than the one before, and the last has
all of them. A line is printed for each: the point at which it was killed, or "whole".
"""

import os
import signal
import sys

from embedbridge import Embedder, batch
from embedbridge._batch import desk, making, redis_ledger
from embedbridge._batch.file_ledger import FileLedger
from embedbridge._batch.redis_ledger import RedisLedger
from embedbridge.cache import GuardedStore
from embedbridge.providers._batch_api import BatchApi

LEDGER = ("write_down", "creating", "made", "heard", "mark_stored", "end")
STEPS = {
    FileLedger: LEDGER,
    RedisLedger: LEDGER,
    BatchApi: ("upload", "create", "look", "find", "download"),
    GuardedStore: ("store_now",),
}


def texts_of(count):
    """Texts of different lengths."""
    return [f"text {number} of a corpus{'.' * (number % 50)}" for number in range(count)]


def die_at(number):
    """Have this process killed at the beginning or the end of a step: the so manyth of these."""
    left = number

    def tick():
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(step):
        def run(*args, **options):
            tick()
            outcome = step(*args, **options)
            tick()
            return outcome

        return run

    for kind, names in STEPS.items():
        for name in names:
            setattr(kind, name, watched(getattr(kind, name)))


def night(url, cache, count):
    """All that a user does with so many texts, of which some were handed over before."""
    with Embedder(
        "openai:text-embedding-3-small", base_url=url, api_key="sk-none", cache=cache, dimensions=16, batch_size=500
    ) as ours:
        batch.submit(ours, texts_of(count))
        batch.collect(ours, wait=True)


def main(url, cache, count, kills):
    """Fork a child for each point."""
    desk.SETTLING, making.DOUBT = 0.1, 0.0
    redis_ledger.LEASE, redis_ledger.RENEWED = 0.5, 0.1  # what a killed process leaves in Redis
    import openai  # noqa: F401 - once for all children

    point = 0
    while True:
        point += 1
        child = os.fork()
        if child == 0:
            if point <= kills:
                die_at(point)
            night(url, cache, count * point // (kills + 1))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(point if os.WIFSIGNALED(status) else "whole", flush=True)  # noqa: T201 - what the test reads
        if point > kills:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
