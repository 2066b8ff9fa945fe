"""Locks that a forked child may take, whatever the parent's threads held when it forked.

The child has the forking thread alone: no other is there to give back what it held.
"""

import os
import threading
import weakref

_made = weakref.WeakSet()


class Lock(object):
    """Held within a `with`, by one thread at a time and once; free in a forked child."""

    __slots__ = ('_lock', '_held', '__weakref__')

    def __init__(self):
        self._lock = threading.Lock()
        self._held = None
        _made.add(self)

    def __enter__(self):
        lock = self._lock
        lock.acquire()
        self._held = lock

    def __exit__(self, kind, error, traceback):
        # What was taken, also where a fork came in between.
        self._held.release()


def _renew_after_fork():
    for lock in list(_made):
        lock._lock = threading.Lock()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_renew_after_fork)
