"""Karbor's own client against the worker: URL EXCHANGE TOPIC SERVER.

Calls, casts, fans out and pings, and raises Karbor's exceptions as themselves.
"""

import sys
import time
import uuid

from karbor import exception
from karbor.services.protection import rpcapi
from oslo_config import cfg
import oslo_messaging as messaging

import karbor_side

URL, EXCHANGE, TOPIC, SERVER = sys.argv[1:]
VOLUME = 'OS::Cinder::Volume'

karbor_side.connect(URL, EXCHANGE)
admin = karbor_side.admin()

# karbor-api's own call, sent to the worker's topic.
cfg.CONF.set_override('protection_topic', TOPIC)
restore = karbor_side.new_restore()
assert rpcapi.ProtectionAPI().restore(admin, restore, {'type': 'password', 'password': 'p'}) is None

old = karbor_side.client(TOPIC)
new = karbor_side.client(TOPIC, version='1.1')


def update(caller, resource_id, status, **more):
    return caller.call(admin, 'update_resource_status', restore_id=restore.id, resource_type=VOLUME,
                       resource_id=resource_id, status=status, **more)


assert update(old, 'volume-1', 'restoring') == {'outcome': 'applied', 'status': 'restoring'}
assert update(old, 'volume-1', 'restoring') == {'outcome': 'unchanged', 'status': 'restoring'}
assert update(new, 'volume-1', 'started') == {'outcome': 'stale', 'status': 'restoring'}
assert update(new, 'volume-2', 'error', reason='Zugriff verweigert \u2603',
              sequence=2, source_id='volume-0', name='root') == {'outcome': 'applied', 'status': 'error'}

expected = [{'resource_type': VOLUME, 'source_id': 'volume-0'},
            {'resource_type': VOLUME, 'source_id': 'volume-9', 'name': 'data'}]
assert new.call(admin, 'expect_resources', restore_id=restore.id, resources=expected) == 2
items = [{'resource_type': VOLUME, 'resource_id': 'volume-%d' % n, 'status': 'available'} for n in (1, 2)]
assert new.call(admin, 'update_resources_status', restore_id=restore.id, resources=items) == [
    {'outcome': 'applied', 'status': 'available'}, {'outcome': 'stale', 'status': 'error'}]

# Sent to everyone, to one server, and to anyone: each is applied.
new.prepare(fanout=True).cast(admin, 'update_resource_status', restore_id=restore.id,
                              resource_type=VOLUME, resource_id='fanout', status='available')
new.prepare(server=SERVER).cast(admin, 'update_resource_status', restore_id=restore.id,
                                resource_type=VOLUME, resource_id='server', status='available')
new.cast(admin, 'update_restore_status', restore_id=restore.id, status='success')
assert new.prepare(server=SERVER).call(admin, 'update_restore_status', restore_id=restore.id,
                                       status='success')['status'] == 'success'

view = old.call(admin, 'get_restore', restore_id=restore.id)
deadline = time.monotonic() + 40
while (len(view['resources_status']) < 4 or view['status'] != 'success') and time.monotonic() < deadline:
    view = old.call(admin, 'get_restore', restore_id=restore.id)
assert view['resources_status'] == {
    VOLUME + '#volume-1': 'available', VOLUME + '#volume-2': 'error',
    VOLUME + '#fanout': 'available', VOLUME + '#server': 'available'}, view
assert view['resources_reason'] == {VOLUME + '#volume-2': 'Zugriff verweigert \u2603'}, view
assert view['resources']['expected'] == 2, view
assert view['project_id'] == karbor_side.PROJECT

# Karbor's exceptions come as themselves, with their attributes.
unknown = str(uuid.uuid4())
error = karbor_side.raises(exception.RestoreNotFound, old.call, admin, 'get_restore', restore_id=unknown)
assert unknown in str(error) and error.code == 404, error
error = karbor_side.raises(exception.InvalidInput, update, old, 'volume-1', 'no such status')
assert 'available' in str(error) and error.code == 400, error
foreigner = karbor_side.member('another-project')
karbor_side.raises(exception.RestoreNotFound, old.call, foreigner, 'get_restore', restore_id=restore.id)
owner = karbor_side.member(karbor_side.PROJECT)
assert old.call(owner, 'get_restore', restore_id=restore.id)['status'] == 'success'
error = karbor_side.raises(TypeError, update, new, 'volume-1', 'error', colour='red')
assert 'colour' in str(error), error
error = karbor_side.raises(messaging.RemoteError, new.call, admin, 'explode')
assert error.exc_type == 'NoSuchMethod', error
error = karbor_side.raises(messaging.RemoteError, new.prepare(version='1.9').call, admin, 'get_restore',
                           restore_id=restore.id)
assert error.exc_type == 'UnsupportedVersion', error

# What oslo.messaging's own tools send.
assert new.call(admin, 'oslo_rpc_server_ping') == 'pong'
assert new.prepare(call_monitor_timeout=2, timeout=20).call(
    admin, 'get_restore', restore_id=restore.id)['id'] == restore.id
print('done')
