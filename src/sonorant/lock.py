"""A file that is held against other processes."""

from __future__ import annotations

import fcntl
import time

_POLL = 0.1
"""seconds"""


def acquired(descriptor: int, seconds: float) -> bool:
    """Hold it; False where another process does not let go in that time. Blocks.

    Closing the file, or the end of this process, lets go.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
        time.sleep(_POLL)
