"""Karbor's ProtectionAPI against a protection service of its own: URL EXCHANGE TOPIC.

Asks for a restore as karbor-api does, and for other things; the service gets each of them once, and
its answers and exceptions come back. Prints the restore's id.
"""

import sys

from karbor import exception
from karbor import rpc
from karbor.services.protection import rpcapi
from oslo_config import cfg
import oslo_messaging as messaging

import karbor_side

URL, EXCHANGE, TOPIC = sys.argv[1:]


class Protection(object):
    """Stands in for the manager of the protection service."""

    target = messaging.Target(version='1.0')

    def __init__(self):
        self.asked = []

    def restore(self, context, restore, restore_auth):
        self.asked.append(('restore', restore.id, restore_auth['password']))
        return 'the service says so'

    def list_protectable_types(self, context):
        self.asked.append(('list_protectable_types',))
        return ['OS::Cinder::Volume']

    def delete(self, context, provider_id, checkpoint_id):
        self.asked.append(('delete', provider_id))
        raise exception.CheckpointNotFound(checkpoint_id=checkpoint_id)


karbor_side.connect(URL, EXCHANGE)
cfg.CONF.set_override('protection_topic', TOPIC)
protection = Protection()
# As `karbor.rpc.get_server`, but on a thread: that one needs eventlet's patches.
server = messaging.get_rpc_server(
    rpc.TRANSPORT, messaging.Target(topic=TOPIC, server='protection-1'), [protection],
    executor='threading', access_policy=messaging.DefaultRPCAccessPolicy,
    serializer=rpc.RequestContextSerializer(karbor_side.objects_base.KarborObjectSerializer()))
server.start()

admin = karbor_side.admin()
api = rpcapi.ProtectionAPI()
restore = karbor_side.new_restore()
answer = api.restore(admin, restore, {'type': 'password', 'password': 'SECRET'})
assert answer == 'the service says so', answer
assert api.list_protectable_types(admin) == ['OS::Cinder::Volume']
karbor_side.raises(exception.CheckpointNotFound, api.delete, admin, 'provider-1', 'checkpoint-1')
assert protection.asked == [
    ('restore', restore.id, 'SECRET'), ('list_protectable_types',), ('delete', 'provider-1')
], protection.asked
server.stop()
server.wait()
print(restore.id)
