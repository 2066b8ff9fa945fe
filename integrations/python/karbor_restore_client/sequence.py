"""The sequence of an attempt, by which the worker tells a retry from a late message."""

import time

from karbor_restore_client import locks

_lock = locks.Lock()
_last = 0


def next_sequence():
    """The clock in microseconds since 1970, and above any that this process was given before.

    :returns: int, below 2^63
    """
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        return _last
