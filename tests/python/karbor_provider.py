"""A Karbor provider of its own with a file-system bank, and checkpoints in it as `protect` leaves them.

Nothing of Karbor is replaced but `ClientFactory.create_client`; plugins poll every second.
"""

import os
import uuid

from karbor.resource import Resource
from karbor.services.protection import client_factory
from karbor.services.protection import provider as karbor_provider
from karbor.services.protection.graph import GraphNode
from oslo_config import cfg

import karbor_clouds as clouds

PROVIDER_ID = 'cf56bd3e-97a7-4078-b6d5-f36246333fd9'
PLUGINS = {
    'karbor-volume-protection-plugin': 'cinder_backup_protection_plugin',
    'karbor-server-protection-plugin': 'nova_backup_protection_plugin',
    'karbor-image-protection-plugin': 'image_backup_plugin',
    'karbor-database-protection-plugin': 'database_backup_plugin',
}


def make(folder, failing=(), plugins=None):
    """A provider whose clouds fail for the resource types given.

    :param folder: for the bank and the provider's configuration
    :param plugins: dict from a plugin's entry point to its section, `PLUGINS` if None
    """
    plugins = PLUGINS if plugins is None else plugins
    path = os.path.join(folder, 'provider.conf')
    with open(path, 'w') as conf:
        conf.write('[provider]\nname = test\nid = %s\nenabled = True\n' % PROVIDER_ID)
        conf.write('bank = karbor-fs-bank-plugin\n')
        conf.writelines('plugin = %s\n' % plugin for plugin in plugins)
        conf.write('[file_system_bank_plugin]\nfile_system_bank_path = %s/bank\n' % folder)
        conf.writelines('[%s]\npoll_interval = 1\n' % section for section in plugins.values())
    options = cfg.ConfigOpts()
    options(args=['--config-file=' + path])
    options.register_opts(karbor_provider.provider_opts, 'provider')
    fakes = clouds.Clouds(failing)
    client_factory.ClientFactory.create_client = staticmethod(fakes.create_client)
    return karbor_provider.PluggableProtectionProvider(options)


def resource(type, name, extra_info=None):
    return Resource(type=type, id=str(uuid.uuid4()), name=name, extra_info=extra_info)


def usual_graph(volumes=1):
    """A server that boots from an image and has volumes, and a database instance beside it."""
    attached = [resource(clouds.VOLUME, 'volume %d' % n) for n in range(volumes)]
    image, server = resource(clouds.IMAGE, 'image'), resource(clouds.SERVER, 'server')
    children = tuple(GraphNode(value=one, child_nodes=()) for one in [image] + attached)
    return [GraphNode(value=server, child_nodes=children),
            GraphNode(value=resource(clouds.DATABASE, 'database'), child_nodes=())]


def resources(graph):
    """All resources of a graph."""
    return [one for node in graph for one in [node.value] + resources(node.child_nodes)]


def checkpoint(provider, project_id, graph):
    """An available checkpoint of a graph."""
    plan = {'id': str(uuid.uuid4()), 'name': 'plan', 'provider_id': provider.id,
            'project_id': project_id, 'resources': []}
    made = provider.get_checkpoint_collection().create(plan)
    made.resource_graph = graph
    made.status = 'available'
    made.commit()
    for node in graph:
        _fill(made, node)
    return made


def _fill(made, node):
    section = made.get_resource_bank_section(node.value.id)
    children = [child.value for child in node.child_nodes]
    if node.value.type == clouds.VOLUME:
        section.update_object('metadata', {'backup_id': str(uuid.uuid4())})
    elif node.value.type == clouds.IMAGE:
        section.update_object('data_1', 'image')
        section.update_object('metadata', {'chunks_num': 1, 'image_metadata': {
            'disk_format': 'raw', 'container_format': 'bare', 'checksum': clouds.CHECKSUM}})
    elif node.value.type == clouds.DATABASE:
        section.update_object('metadata', {
            'backup_id': str(uuid.uuid4()), 'flavor': {'id': '1'}, 'size': 1})
    elif node.value.type == clouds.SERVER:
        images = [child.id for child in children if child.type == clouds.IMAGE]
        section.update_object('metadata', {
            'server_metadata': {'flavor': '1'},
            'boot_metadata': {'boot_device_type': 'image', 'boot_image_id': (images + [None])[0]},
            'attach_metadata': {child.id: {'device': '/dev/vdb'} for child in children
                                if child.type == clouds.VOLUME}})
    for child in node.child_nodes:
        _fill(made, child)
