"""Fake clouds behind Karbor's real plugins: what `ClientFactory.create_client` gives instead.

A resource goes through its statuses one poll at a time. Of a type that is to fail, each creation ends
in the way that the service itself would have it: an error status, or an exception.
"""

import types
import uuid

VOLUME = 'OS::Cinder::Volume'
SERVER = 'OS::Nova::Server'
IMAGE = 'OS::Glance::Image'
DATABASE = 'OS::Trove::Instance'

IMAGE_FAILURE = 'no space left in the image store'
CHECKSUM = 'd41d8cd98f00b204e9800998ecf8427e'


class Polled(object):
    """A resource whose status moves on each time that it is asked for, until the last."""

    def __init__(self, *statuses, **fields):
        self.id = str(uuid.uuid4())
        self.status = statuses[0]
        self.left = list(statuses)
        self.__dict__.update(fields)

    def seen(self):
        """It as it is now. What was given out does not change: Trove's plugin reports the status of
        the moment of creation."""
        return types.SimpleNamespace(**{k: v for k, v in self.__dict__.items() if k != 'left'})

    def poll(self):
        self.status = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return self.seen()


class Clouds(object):
    """All services.

    :param failing: set of resource types whose creation fails
    """

    def __init__(self, failing=()):
        self.failing = set(failing)
        self.made = {}

    def create_client(self, service, context, *args, **kwargs):
        return getattr(self, service)()

    def _make(self, type, statuses, failed_statuses, **fields):
        made = Polled(*(failed_statuses if type in self.failing else statuses), **fields)
        self.made[made.id] = made
        return made.seen()

    def _get(self, id):
        return self.made[id].poll()

    def cinder(self):
        def restore(backup_id):
            made = self._make(VOLUME, ('restoring-backup', 'available'), ('restoring-backup', 'error'))
            return types.SimpleNamespace(volume_id=made.id)

        return types.SimpleNamespace(
            restores=types.SimpleNamespace(restore=restore),
            volumes=types.SimpleNamespace(get=self._get, update=lambda id, **properties: None))

    def nova(self):
        def create(**properties):
            return self._make(SERVER, ('BUILD', 'ACTIVE'), ('BUILD', 'ERROR'))

        def attach(server_id, volume_id, device):
            self.made[volume_id].left = ['attaching', 'in-use']

        return types.SimpleNamespace(
            servers=types.SimpleNamespace(create=create, get=self._get),
            volumes=types.SimpleNamespace(create_server_volume=attach))

    def glance(self):
        def upload(image_id, data):
            if IMAGE in self.failing:
                raise Exception(IMAGE_FAILURE)

        return types.SimpleNamespace(images=types.SimpleNamespace(
            create=lambda **metadata: self._make(IMAGE, ('active',), ('active',), checksum=CHECKSUM),
            upload=upload, get=self._get, delete=self.made.pop))

    def trove(self):
        return types.SimpleNamespace(instances=types.SimpleNamespace(
            create=lambda name, flavor, **more: self._make(
                DATABASE, ('BUILD', 'BUILD', 'ACTIVE'), ('BUILD', 'BUILD', 'FAILED')),
            get=self._get))
