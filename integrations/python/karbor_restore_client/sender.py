"""The thread that casts, one for each transport, and the bounded queue before it.

Takes messages from any thread without waiting; gives them to oslo.messaging in order, updates of one
restore that wait together as one list. While the broker is away the thread waits in oslo.messaging,
and the queue keeps the newest messages: of a resource the last word counts.
"""

import atexit
import collections
import os
import threading
import time
import weakref

import oslo_messaging as messaging

from karbor_restore_client import locks
from karbor_restore_client import losses
from karbor_restore_client import message

VERSION = '1.1'
QUEUE_MESSAGES = 10000
IDLE_S = 10
EXIT_S = 5

Message = collections.namedtuple('Message', ('channel', 'method', 'arguments'))

_senders = weakref.WeakValueDictionary()  # id of a transport, which its sender keeps alive
_senders_lock = locks.Lock()


class Channel(object):
    """Where one restore's messages go: topic, context, restore."""

    __slots__ = ('topic', 'context', 'restore_id')

    def __init__(self, topic, context, restore_id):
        self.topic = topic
        self.context = context
        self.restore_id = restore_id


def sender_of(transport):
    """The sender of a transport: one a process, made when it is first asked for."""
    with _senders_lock:
        sender = _senders.get(id(transport))
        if sender is None:
            sender = _senders[id(transport)] = Sender(transport)
        return sender


class Sender(object):
    """Casts from a thread of its own, which starts with the first message and ends when idle."""

    def __init__(self, transport):
        self._transport = transport
        self._clients = {}
        self.losses = losses.Losses()
        self.reset()

    def reset(self):
        """Forgets what waits; in a forked child, which sends nothing of its parent's."""
        self._changed = threading.Condition()
        self._waiting = collections.deque()
        self._sending = []
        self._unsent = collections.Counter()  # by channel, what waits and what is being sent
        self._thread = None

    def put(self, channel, method, arguments):
        """Queues one message and returns at once; of a full queue the oldest is dropped.

        :param arguments: dict, JSON throughout; for `expect_resources` a list of its items
        """
        with self._changed:
            if len(self._waiting) >= QUEUE_MESSAGES:
                self._done(self._waiting.popleft())
                self.losses.add(1, 'the queue was full')
            self._waiting.append(Message(channel, method, arguments))
            self._unsent[channel] += 1
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name='karbor-restore-client')
                thread.daemon = True
                self._thread = thread
                thread.start()
            self._changed.notify_all()

    def wait(self, timeout, channel=None):
        """Waits until all is sent, of one channel or of all.

        :param timeout: seconds; infinity is no limit
        :returns: int, how many messages still wait
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                left = sum(self._unsent.values()) if channel is None else self._unsent[channel]
                remaining = deadline - time.monotonic()
                if not left or remaining <= 0:
                    return left
                # In pieces: neither threading nor a green thread takes every number.
                self._changed.wait(min(remaining, IDLE_S))

    def _done(self, sent):
        channel = sent.channel
        self._unsent[channel] -= 1
        if not self._unsent[channel]:
            del self._unsent[channel]

    def _run(self):
        while self._take():
            try:
                self._send(self._sending)
            except Exception as error:
                self.losses.add(len(self._sending), type(error).__name__)
            finally:
                with self._changed:
                    for one in self._sending:
                        self._done(one)
                    self._sending = []
                    self._changed.notify_all()

    def _take(self):
        """Takes the next message, and the updates of the same restore that wait right behind it.

        :returns: whether there is one; if not, the thread is to end
        """
        with self._changed:
            while not self._waiting:
                if not self._changed.wait(IDLE_S) and not self._waiting:
                    self.losses.tell()
                    self._thread = None
                    return False
            first = self._waiting.popleft()
            self._sending = [first]
            while (first.method == 'update_resource_status' and self._waiting
                   and self._waiting[0][:2] == first[:2]
                   and len(self._sending) < message.LIST_ITEMS):
                self._sending.append(self._waiting.popleft())
            return True

    def _send(self, batch):
        channel, method, arguments = batch[0]
        if method == 'update_resource_status':
            for items in message.lists([one.arguments for one in batch]):
                if len(items) == 1:
                    self._cast(channel, method, items[0])
                else:
                    self._cast(channel, 'update_resources_status', {'resources': items})
        elif method == 'expect_resources':
            for items in message.lists(arguments):
                self._cast(channel, method, {'resources': items})
        else:
            self._cast(channel, method, arguments)

    def _cast(self, channel, method, arguments):
        client = self._clients.get(channel.topic)
        if client is None:
            # Releases before 14.1 make clients by their class.
            make = getattr(messaging, 'get_rpc_client', None) or messaging.RPCClient
            target = messaging.Target(topic=channel.topic, version=VERSION)
            client = self._clients[channel.topic] = make(self._transport, target)
        client.cast(channel.context, method, restore_id=channel.restore_id, **arguments)


def _send_before_exit():
    deadline = time.monotonic() + EXIT_S
    for sender in list(_senders.values()):
        left = sender.wait(max(0, deadline - time.monotonic()))
        if left:
            sender.losses.add(left, 'the process ended')
        sender.losses.tell()


def _forget_after_fork():
    for sender in list(_senders.values()):
        sender.reset()


atexit.register(_send_before_exit)
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_after_fork)
