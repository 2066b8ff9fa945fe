"""What was said of one attempt at one resource, and what is left to say when it ends. Pure."""

from karbor_restore_client import message
from karbor_restore_client import sequence


class Attempt(object):
    """One sequence, and the last word under each id, the source's and the new resources'."""

    __slots__ = ('sequence', 'said')

    def __init__(self, number=None):
        self.sequence = sequence.next_sequence() if number is None else number
        self.said = {}

    def say(self, resource_id, status, reason):
        """Keeps the last word under an id; a final one only gives way to another, as at the worker."""
        status = status.lower()
        if _is_final(status, reason) or not _is_final(*self.said.get(resource_id, ('', None))):
            self.said[resource_id] = (status, reason)

    @property
    def is_over(self):
        """Whether a final word was said."""
        return any(_is_final(status, reason) for status, reason in self.said.values())

    def ids(self, source_id, resource_id):
        """Under which ids the end is to be told.

        :param resource_id: the new resource's id, or None if only what was said tells it
        :returns: list of str; the source's id alone if no other is known that the worker takes
        """
        ids = [one for one in self.said
               if (one != source_id or one == resource_id) and message.is_id(one)]
        if resource_id is not None and resource_id not in ids:
            ids.append(resource_id)
        return ids or [source_id]

    def at_success(self, ids):
        """Yields (id, status, reason) for those of which no final word was said."""
        for one in ids:
            if not _is_final(*self.said.get(one, ('', None))):
                yield one, 'available', None

    def at_failure(self, ids, text):
        """Yields (id, status, reason): the text, unless the resource's own error was said already."""
        failed = [one for one in ids if self.said.get(one, ('', None))[0] != 'available']
        # An operation may fail after its last resource was said to be there.
        for one in failed or ids[-1:]:
            status, reason = self.said.get(one, ('', None))
            if not reason or status in ('undefined', 'started', 'restoring', 'available'):
                yield one, 'error', text
            elif status != 'error':
                # A raw status of another service with a reason: the worker may know it as an error.
                yield one, 'error', reason


def _is_final(status, reason):
    """Whether a status is `available` or an error, which a raw one with a reason is too."""
    return (status == 'available' or status.startswith('error')
            or bool(reason) and status not in message.STATUSES)


def text_of(error):
    """What an exception says, or its class where it says nothing; never raises."""
    try:
        text = str(error).strip()
    except Exception:
        text = ''
    return text or type(error).__name__
