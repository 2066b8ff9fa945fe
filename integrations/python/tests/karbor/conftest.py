"""Karbor 1.6.0 itself: its flow, objects and bank on a database of its own, with plugins of a test."""

import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'python'))

# Before anything reads oslo.config's one configuration: Karbor registers options of the command line.
import karbor_side  # noqa: E402


class Karbor(object):
    """Makes and runs restore flows."""

    def __init__(self, folder):
        from karbor.db import migration
        from karbor.services.protection.flows import worker
        from oslo_config import cfg

        karbor_side.connect('fake://', 'openstack')
        cfg.CONF.set_override('connection', 'sqlite:///%s/karbor.sqlite' % folder, 'database')
        migration.db_sync()
        self.context = karbor_side.admin()
        self.worker = worker.Worker()
        self._folder = str(folder)

    def restore(self, restore_id, project_id=None):
        """A restore as karbor-api creates it."""
        from karbor import db
        from karbor import objects
        db.restore_create(self.context, {
            'id': restore_id, 'project_id': project_id or self.context.project_id,
            'provider_id': 'cf56bd3e-97a7-4078-b6d5-f36246333fd9',
            'checkpoint_id': 'dcb20606-ad71-40a3-80e4-ef0fafdad0c3', 'status': 'in_progress'})
        return objects.Restore.get_by_id(self.context, restore_id)

    def flow(self, restore, graph, plugins):
        """Karbor's flow for a restore.

        :param plugins: dict from a resource's type to the class of its restore operation
        """
        import karbor_provider
        provider = karbor_provider.make(self._folder, plugins={})
        for type, operation in plugins.items():
            provider.plugins[type] = plugin_of(operation)
        checkpoint = karbor_provider.checkpoint(provider, self.context.project_id, graph)
        return self.worker.get_flow(
            context=self.context, operation_type='restore', checkpoint=checkpoint,
            provider=provider, restore=restore, restore_auth=None)

    def run(self, flow):
        """Runs a flow to its end; gives the exception it ended with, or None."""
        try:
            self.worker.run_flow(flow)
        except Exception as error:
            return error


def plugin_of(operation):
    """A plugin of Karbor's with this restore operation."""
    from karbor.services.protection import protection_plugin

    class Plugin(protection_plugin.ProtectionPlugin):
        def get_restore_operation(self, resource):
            return operation()

    return Plugin


@pytest.fixture(scope='session')
def karbor(server, tmp_path_factory):
    # The server comes first: both read the configuration anew.
    return Karbor(tmp_path_factory.mktemp('karbor'))


@pytest.fixture
def hook(server, karbor):
    from karbor_restore_client import karbor_hook
    karbor_hook.install(server.transport, server.topic)
    yield karbor_hook
    karbor_hook.uninstall()
