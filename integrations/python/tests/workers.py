"""The worker's binary on a RabbitMQ: TEST_WORKER and TEST_RABBITMQ_URL say where they are."""

import os
import subprocess
import time
import urllib.request
import uuid

from oslo_config import cfg
import oslo_messaging as messaging

# A wait for what must come; a test that reaches it has failed.
PATIENCE_S = 60
PROJECT = '39bb894794b741e982bd26144d2949f6'


def eventually(what, look):
    """Looks until it gives something; the look itself is the pause, a request to the worker."""
    deadline = time.monotonic() + PATIENCE_S
    seen = None
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
    raise AssertionError('%s did not come' % what)


class Worker(object):
    """A worker with a database of its own, on an exchange and a topic of its own."""

    def __init__(self, folder, address):
        self.name = 'python-' + uuid.uuid4().hex[:8]
        self.address = address
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith('KARBOR_RESTORE__')}
        settings = {
            'MESSAGING__TRANSPORT_URL': os.environ['TEST_RABBITMQ_URL'],
            'MESSAGING__CONTROL_EXCHANGE': self.name, 'MESSAGING__TOPIC': self.name,
            'MESSAGING__SERVER': 'w1', 'NOTIFICATIONS__DRIVER': 'noop', 'HTTP__LISTEN': address,
            'DATABASE__URL': 'sqlite://%s/worker.sqlite' % folder}
        environment.update(('KARBOR_RESTORE__' + key, value) for key, value in settings.items())
        self.log = os.path.join(str(folder), 'worker.log')
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen([os.environ['TEST_WORKER'], 'serve'], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually('a ready worker', self._is_ready)
        messaging.set_transport_defaults(self.name)
        cfg.CONF([], project='test', default_config_files=[])
        self.transport = messaging.get_rpc_transport(cfg.CONF, url=os.environ['TEST_RABBITMQ_URL'])
        self.client = messaging.get_rpc_client(
            self.transport, messaging.Target(topic=self.name, version='1.1'))

    def _is_ready(self):
        if self.process.poll() is not None:
            with open(self.log) as log:
                raise AssertionError('the worker ended:\n' + log.read())
        try:
            with urllib.request.urlopen('http://%s/readyz' % self.address, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def call(self, method, **arguments):
        return self.client.call({'is_admin': True}, method, **arguments)

    def record(self, restore_id):
        """What karbor-api sends."""
        self.call('restore', restore={
            'id': restore_id, 'project_id': PROJECT, 'provider_id': 'pr', 'checkpoint_id': 'c',
            'restore_target': None, 'parameters': {}, 'status': 'in_progress',
            'resources_status': {}, 'resources_reason': {}})

    def restore(self, restore_id):
        return self.call('get_restore', restore_id=restore_id)

    def stop(self):
        self.transport.cleanup()
        self.process.terminate()
        self.process.wait(PATIENCE_S)
