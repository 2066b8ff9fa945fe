"""One log line, now and then, for what could not be sent; never what it said, never why in words.

An error's text may hold a URL with its password: only its class is told.
"""

import logging
import time

from karbor_restore_client import locks

LOG = logging.getLogger(__name__)
INTERVAL_S = 60


class Losses(object):
    """Counts what was not sent, and tells the count at most once in `INTERVAL_S` seconds."""

    def __init__(self):
        self._lock = locks.Lock()
        self._count = 0
        self._why = None
        self._told_at = None

    def add(self, count, why):
        """Counts lost messages.

        :param count: int
        :param why: str, an exception's class or a few words of ours
        """
        with self._lock:
            self._count += count
            self._why = why
            now = time.monotonic()
            if self._told_at is not None and now - self._told_at < INTERVAL_S:
                return
            self._told_at = now
        self.tell()

    def tell(self):
        """Tells what was counted since the last line, if anything."""
        with self._lock:
            count, self._count = self._count, 0
        if count:
            LOG.warning('%d messages on restores could not be sent to karbor-restore-worker; '
                        'the last one: %s', count, self._why)
