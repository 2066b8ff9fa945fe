"""oslo.messaging's notification listener on the worker's topics: URL EXCHANGE TOPIC COUNT.

Prints COUNT notifications as JSON lines, one each, and acknowledges them.
"""

import json
import queue
import sys

import oslo_messaging as messaging

import karbor_side

URL, EXCHANGE, TOPIC, COUNT = sys.argv[1:]

arrived = queue.Queue()


class Endpoint(object):
    def _take(self, priority):
        def take(context, publisher_id, event_type, payload, metadata):
            arrived.put({'priority': priority, 'context': context, 'publisher_id': publisher_id,
                         'event_type': event_type, 'payload': payload, 'metadata': metadata})
            return messaging.NotificationResult.HANDLED
        return take

    def __init__(self):
        for priority in ('info', 'warn', 'error'):
            setattr(self, priority, self._take(priority))


karbor_side.connect(URL, EXCHANGE)
listener = messaging.get_notification_listener(
    karbor_side.rpc.NOTIFICATION_TRANSPORT, [messaging.Target(topic=TOPIC, exchange=EXCHANGE)],
    [Endpoint()], executor='threading')
listener.start()
for _ in range(int(COUNT)):
    print(json.dumps(arrived.get(timeout=40)))
listener.stop()
listener.wait()
