"""What a service or a plugin says of one restore.

An attempt at a resource has one sequence: the greater sequence wins, and within one the greater
status. `track` begins an attempt. `update` belongs to the attempt that is known of the resource or of
its source; `started` after a final word begins a new one, since nothing else can be meant. Without
either, an update carries the sequence of the reporter itself, which is an attempt at all resources.
"""

import functools
import logging

from karbor_restore_client import attempt
from karbor_restore_client import locks
from karbor_restore_client import message
from karbor_restore_client import sender
from karbor_restore_client import sequence

LOG = logging.getLogger(__name__)
TOPIC = 'karbor-restore'
CLOSE_S = 5


def quiet(method):
    """A report must never fail a restore: what it raises is counted as lost, and logged."""
    @functools.wraps(method)
    def report(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            try:
                self._sender.losses.add(1, type(error).__name__)
            except Exception:
                return None
    return report


class RestoreReporter(object):
    """Reports on one restore; for use by any number of threads or green threads.

    No method raises for what it was given or for the broker, and none waits but `close`.

    :param transport: an oslo.messaging RPC transport; its exchange must be the worker's
    :param restore_id: str, a UUID; without one nothing is sent, and a log line says so
    :param context: the request's context or its dictionary, of the restore's project or an admin's;
        None for a service that speaks for itself. No token of it is sent.
    :param topic: str, the worker's topic
    """

    def __init__(self, transport, restore_id, context=None, topic=TOPIC):
        self._sender = sender.sender_of(transport)
        try:
            kept = message.context_of(context)
        except Exception as error:
            kept = {}
            self._sender.losses.add(1, type(error).__name__)
        self._silent_because = None
        try:
            restore_id = message.required(restore_id)
        except Exception as error:
            restore_id, self._silent_because = None, 'there is no restore id'
            LOG.warning('A reporter was given no restore id (%s): it sends nothing',
                        type(error).__name__)
        self._channel = sender.Channel(topic, kept, restore_id)
        self._sequence = sequence.next_sequence()
        self._attempts = {}
        self._lock = locks.Lock()

    @quiet
    def expect(self, resources):
        """Says which resources the restore has; progress is counted against them.

        :param resources: iterable of (type, source_id) or (type, source_id, name); an item that is
            neither is left out, which a log line says
        """
        items, count = [], 0
        for resource in resources:
            count += 1
            try:
                items.append(message.expected_resource(resource))
            except Exception as error:
                why = type(error).__name__
        if len(items) < count:
            LOG.warning('%d of %d expected resources are left out, without a type and a source id; '
                        'the last one: %s', count - len(items), count, why)
        if items:
            self._put('expect_resources', items)

    @quiet
    def update(self, type, resource_id, status, reason=None, source_id=None, name=None):
        """Says how a resource is.

        :param type: str, such as `OS::Cinder::Volume`
        :param resource_id: the new resource's id, or its source's while there is none
        :param status: `started`, `restoring`, `available`, `error`, or Cinder's, Manila's or Trove's own
        :param reason: text or an exception; never a secret
        :param source_id: the resource of the checkpoint that it is restored from
        :param name: str; one without a text is left out
        """
        type, resource_id = message.required(type), message.required(resource_id)
        status = message.required(status)
        source_id = None if source_id is None else str(source_id)
        reason = reason if reason is None or isinstance(reason, str) else attempt.text_of(reason)
        # Within the lock, so that messages wait in the order of what is remembered.
        with self._lock:
            known = self._known(type, resource_id, source_id)
            if known is None or (known.is_over and status.lower() == 'started'):
                known = attempt.Attempt(self._sequence if known is None else None)
            self._remember(known, type, resource_id, source_id)
            known.say(resource_id, status, reason)
            item = message.resource_update(type, resource_id, status, reason, known.sequence,
                                           source_id, name)
            self._put('update_resource_status', item)

    @quiet
    def finish(self, status, reason=None):
        """Says how the restore itself is.

        :param status: `success`, `fail` or `in_progress`
        :param reason: text or an exception
        """
        arguments = {'status': message.required(status)}
        if reason is not None:
            text = reason if isinstance(reason, str) else attempt.text_of(reason)
            arguments['reason'] = text[:message.REASON_CHARS]
        self._put('update_restore_status', arguments)

    def track(self, type, source_id, resource_id=None, name=None):
        """Reports one attempt at a resource, its start, end and failure; a context manager.

        `started` is said at once, `available` at the end, `error` with the exception's text when it
        raises, and the exception goes on. A second one for the same resource is a retry: it replaces
        what was said under the same ids, and under the source's.

        :param resource_id: the new resource's id; it may be set within, as `resource_id` of what
            `with` gives, and is the source's id until then. One that the worker would not take is
            forgotten, which a log line says, and the source's is told
        :returns: Track
        """
        return Track(self, type, source_id, resource_id, name)

    def close(self, timeout=CLOSE_S):
        """Waits until what was said is sent; what is said afterwards is not sent.

        What is not sent in time may still be, as long as the process lives.

        :param timeout: seconds; None is no limit, and what is no number counts as the default
        :returns: bool, whether all was sent
        """
        self._silent_because = self._silent_because or 'said after close'
        left = self._sender.wait(_seconds(timeout), self._channel)
        if left:
            # Not lost yet: what is, is counted when the process ends.
            LOG.warning('%d messages on restores are not sent yet; they are tried as long as the '
                        'process lives', left)
        return not left

    def _put(self, method, arguments):
        if self._silent_because:
            self._sender.losses.add(1, self._silent_because)
        else:
            self._sender.put(self._channel, method, arguments)

    def _known(self, type, *ids):
        found = [self._attempts[type, one] for one in ids if (type, one) in self._attempts]
        return max(found, key=lambda one: one.sequence) if found else None

    def _remember(self, known, type, *ids):
        for one in ids:
            if one is not None:
                self._attempts[type, one] = known

    def _begin(self, type, *ids):
        begun = attempt.Attempt()
        with self._lock:
            self._remember(begun, type, *ids)
        return begun


class Track(object):
    """One attempt at one resource."""

    def __init__(self, reporter, type, source_id, resource_id=None, name=None):
        self._new_id = resource_id
        self._reporter = reporter
        self._type = type
        self._source_id = source_id
        self._name = name
        self._attempt = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.succeed()
        else:
            self.fail(attempt.text_of(kind if error is None else error))
        return False

    @property
    def resource_id(self):
        """The new resource's id; the source's until it is set."""
        return self._source_id if self._new_id is None else self._new_id

    @resource_id.setter
    def resource_id(self, value):
        self._new_id = value

    def start(self):
        """Begins the attempt."""
        self._start()

    def say(self, resource_id, status, reason=None):
        """Says how a resource is that this attempt makes."""
        self._reporter.update(self._type, resource_id, status, reason, self._source_id, self._name)

    def succeed(self):
        """Ends it: what has no final word yet is `available`."""
        self._end(lambda known, ids: known.at_success(ids))

    def fail(self, text):
        """Ends it with an error; a reason that was said already stays."""
        self._end(lambda known, ids: known.at_failure(ids, text))

    @property
    def _sender(self):
        return self._reporter._sender

    @quiet
    def _start(self):
        self._source_id = message.required(self._source_id)
        first = self._usable_id() or self._source_id
        self._attempt = self._reporter._begin(message.required(self._type), self._source_id, first)
        self.say(first, 'started')

    @quiet
    def _end(self, left):
        ids = self._attempt.ids(self._source_id, self._usable_id())
        for resource_id, status, reason in list(left(self._attempt, ids)):
            self.say(resource_id, status, reason)

    def _usable_id(self):
        if self._new_id is None:
            return None
        try:
            text = str(self._new_id)
        except Exception:
            text = ''
        if message.is_id(text):
            return text
        # Under one that is refused, the source would be under way for ever.
        LOG.warning('What %r became was given an id that is no id: it is told under its own',
                    self._source_id)
        self._new_id = None
        return None


def _seconds(timeout):
    try:
        seconds = float('inf') if timeout is None else float(timeout)
        if seconds == seconds:
            return seconds
    except Exception:
        pass
    LOG.warning('close was given no number of seconds: it waits at most %s', CLOSE_S)
    return CLOSE_S
