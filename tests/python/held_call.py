"""One monitored call that the worker cannot finish for a while: URL EXCHANGE TOPIC RESTORE_ID.

Without heartbeats the client would give up two seconds after the last one.
"""

import sys

import karbor_side

URL, EXCHANGE, TOPIC, RESTORE_ID = sys.argv[1:]

karbor_side.connect(URL, EXCHANGE)
client = karbor_side.client(TOPIC, version='1.1').prepare(timeout=60, call_monitor_timeout=2)
result = client.call(karbor_side.admin(), 'update_resource_status', restore_id=RESTORE_ID,
                     resource_type='OS::Cinder::Volume', resource_id='held', status='available')
assert result == {'outcome': 'applied', 'status': 'available'}, result
print('done')
