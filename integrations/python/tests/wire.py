"""A worker's end of the wire, made of oslo.messaging's own server and its driver within the process."""

import collections
import queue
import uuid

from oslo_config import cfg
import oslo_messaging as messaging

# A wait for what must come; a test that reaches it has failed.
PATIENCE_S = 30


class Server(object):
    """An RPC server with all methods of the worker, which keeps what it is sent, by restore."""

    target = messaging.Target(version='1.1')

    def __init__(self):
        # oslo.messaging registers some of its options with this one only.
        cfg.CONF([], project='test', default_config_files=[])
        self.topic = 'topic-' + uuid.uuid4().hex
        self.transport = messaging.get_rpc_transport(cfg.CONF, url='fake://')
        self.requests = collections.defaultdict(queue.Queue)
        for method in ('update_resource_status', 'update_resources_status', 'expect_resources',
                       'update_restore_status'):
            setattr(self, method, self._keep(method))
        target = messaging.Target(topic=self.topic, server='worker', version='1.1')
        self._server = messaging.get_rpc_server(self.transport, target, [self], executor='threading')
        self._server.start()

    def _keep(self, method):
        def keep(context, restore_id, **arguments):
            self.requests[restore_id].put((method, arguments, context))
        return keep

    def stop(self):
        self._server.stop()
        self._server.wait()


class Wire(object):
    """What comes of one restore."""

    def __init__(self, server, restore_id):
        self.transport = server.transport
        self.topic = server.topic
        self.requests = server.requests[restore_id]

    def take(self, count):
        """The next requests, each as (method, arguments without `restore_id`, context)."""
        return [self.requests.get(timeout=PATIENCE_S) for _ in range(count)]

    def updates(self, count):
        """The next updates of resources, however many requests they come in."""
        found = []
        while len(found) < count:
            method, arguments, _ = self.take(1)[0]
            if method == 'update_resource_status':
                found.append(arguments)
            elif method == 'update_resources_status':
                found.extend(arguments['resources'])
        return found
