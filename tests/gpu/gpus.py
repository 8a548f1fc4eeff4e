"""What tests on a GPU share: feeds, distances, threads, and the GPU's memory."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from sonorant.observe.gpus import Gpus


def mel(frames: int, batch: int = 1) -> dict[str, np.ndarray]:
    return {"mel": np.random.default_rng(frames).normal(size=(batch, 80, frames)).astype(np.float32)}


def decibels(expected: np.ndarray, found: np.ndarray) -> float:
    """Signal to noise."""
    noise = float(np.mean((expected - found) ** 2)) or 1e-30
    return 10 * float(np.log10(np.mean(expected**2) / noise))


def at_once(count: int, work: Callable[[int], None]) -> None:
    """So many threads, each of which ends; what one of them raises is raised."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)


@contextmanager
def most_memory() -> Iterator[Callable[[], int]]:
    """Bytes of GPU 0 in use at most while it lasts, looked at again and again."""
    gpus, over, most = Gpus(), threading.Event(), [0]

    def look() -> None:
        while not over.is_set():
            most[0] = max(most[0], gpus.read()[0].memory_used)
            time.sleep(0.002)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        over.set()
        thread.join(10)


def memory() -> int:
    """Bytes of GPU 0 in use."""
    return Gpus().read()[0].memory_used
