"""Karbor 1.6.0, unmodified, on a database and a broker of the caller's choice; prints JSON.

    karbor_flow.py sync    --database URL
        What `karbor-manage db sync` does, in a database that is there and empty.
    karbor_flow.py run     --database URL [--transport-url URL --exchange NAME] [--hook [--topic T]]
                           [--fail TYPE]... [--restore-id ID]... [--count N] [--volumes N]
                           [--project ID] [--patched]
        Runs restore flows at the same time: Karbor's taskflow engine, file-system bank, objects and
        its plugins for Cinder volumes, Nova servers, Glance images and Trove instances, over fake
        clouds. TYPE is a resource type that fails, such as OS::Glance::Image. A --restore-id that
        is not in the database is created, one that is there is run. --patched patches the process
        for eventlet first, as karbor-protection does. Prints a list of
          {"restore_id", "project_id", "status", "error",           the flow's end and its exception
           "resources": [{"type", "id", "name"}],                   what was to be restored
           "new_resources": {source id: new id},                    what Karbor knows of it
           "resources_status": {}, "resources_reason": {},          what the flow's object holds
           "columns": {"status", "resources_status", "resources_reason"}}   read back from the database
    karbor_flow.py serve   --database URL --transport-url URL --exchange NAME --folder DIR
                           [--hook [--topic T]] [--fail TYPE]...
        Runs `karbor-protection` itself until SIGTERM, over fake clouds, with the bank in DIR. Prints
        {"serving": true} when it takes requests; the rest of its output is its log.
    karbor_flow.py request --transport-url URL --exchange NAME [--topic TOPIC] [--database URL]
                           [--folder DIR] [--restore-id ID] [--project ID] [--volumes N]
                           [--cast | --rest] [--timeout S]
        Karbor's API service asks its protection service (TOPIC, `karbor-protection`) to restore, by
        `ProtectionAPI.restore`, which is a call; --cast sends the same as a cast; --rest does all that
        a POST to Karbor's REST controller does, which creates the restore itself and writes `fail`
        when the call times out. With a database the restore is created there first; with --folder
        there is a checkpoint to restore from. Prints {"restore_id", "checkpoint_id", "resources",
        "answered": true, false or null, "status" (with --rest)}.
    karbor_flow.py read    --database URL --restore-id ID [--project ID]
        Reads by Karbor's objects and by its REST controllers. Prints {"object", "show", "index"}.

URL of a database: SQLAlchemy's, or the worker's (`postgres://`, `mysql://`, `sqlite://FILE`).
"""

import argparse
import json
import os
import sys
import tempfile
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../integrations/python'))

parser = argparse.ArgumentParser()
parser.add_argument('mode', choices=('sync', 'run', 'serve', 'request', 'read'))
parser.add_argument('--database')
parser.add_argument('--transport-url')
parser.add_argument('--exchange', default='openstack')
parser.add_argument('--topic', default=None)
parser.add_argument('--folder')
parser.add_argument('--hook', action='store_true')
parser.add_argument('--fail', action='append', default=[])
parser.add_argument('--restore-id', action='append', default=[])
parser.add_argument('--count', type=int, default=1)
parser.add_argument('--volumes', type=int, default=1)
parser.add_argument('--project', default='39bb894794b741e982bd26144d2949f6')
parser.add_argument('--patched', action='store_true')
parser.add_argument('--cast', action='store_true')
parser.add_argument('--rest', action='store_true')
parser.add_argument('--timeout', type=int, default=60)
arguments = parser.parse_args()
if arguments.patched or arguments.mode == 'serve':
    import eventlet
    eventlet.monkey_patch()

import karbor_side  # noqa: E402
from karbor import db  # noqa: E402
from karbor import objects  # noqa: E402
from karbor.db import migration  # noqa: E402
from karbor.db.sqlalchemy import api as db_api  # noqa: E402
from oslo_config import cfg  # noqa: E402
import oslo_messaging as messaging  # noqa: E402

admin = karbor_side.admin(arguments.project)


def database_url():
    """The database's URL in SQLAlchemy's spelling."""
    url = arguments.database
    for ours, theirs in (('postgres://', 'postgresql+psycopg2://'), ('mysql://', 'mysql+pymysql://')):
        if url.startswith(ours):
            url = theirs + url[len(ours):]
    if url.startswith('sqlite://') and not url.startswith('sqlite:///'):
        url = 'sqlite:///' + url[len('sqlite://'):]
    return url


def connect():
    """Karbor's configuration: its broker and its database."""
    # Karbor's REST controllers want a broker even to read.
    karbor_side.connect(arguments.transport_url or 'fake://', arguments.exchange)
    if arguments.database:
        cfg.CONF.set_override('connection', database_url(), 'database')


def restore_of(restore_id, **fields):
    """The restore with this id, created if it is not there."""
    if restore_id is None or not _is_there(restore_id):
        values = dict(project_id=arguments.project, status='in_progress', **fields)
        made = db.restore_create(admin, dict(values, id=restore_id or str(uuid.uuid4())))
        restore_id = made['id']
    return objects.Restore.get_by_id(admin, restore_id)


def _is_there(restore_id):
    from karbor import exception
    try:
        db.restore_get(admin, restore_id)
    except exception.RestoreNotFound:
        return False
    return True


def sync():
    engine = db_api.get_engine()
    if engine.name == 'mysql':
        # As Karbor wants it to be created; its migration fails to convert tables with foreign keys.
        engine.execute('ALTER DATABASE `%s` CHARACTER SET utf8' % engine.url.database)
    migration.db_sync()
    return {}


def install_hook():
    if arguments.hook:
        from karbor_restore_client import karbor_hook
        karbor_hook.install(**({'topic': arguments.topic} if arguments.topic else {}))


def run():
    from karbor.services.protection.flows import worker as flow_worker
    import eventlet

    import karbor_provider

    install_hook()
    with tempfile.TemporaryDirectory() as folder:
        provider = karbor_provider.make(folder, arguments.fail)
        ids = arguments.restore_id or [None] * arguments.count
        flows = [_make_flow(flow_worker.Worker(), provider, restore_id) for restore_id in ids]
        threads = [eventlet.spawn(_run_flow, *flow) for flow in flows]
        return [thread.wait() for thread in threads]


def _make_flow(worker, provider, restore_id):
    import karbor_provider

    graph = karbor_provider.usual_graph(arguments.volumes)
    checkpoint = karbor_provider.checkpoint(provider, arguments.project, graph)
    restore = restore_of(restore_id, provider_id=provider.id, checkpoint_id=checkpoint.id)
    engine = worker.get_flow(context=admin, operation_type='restore', checkpoint=checkpoint,
                             provider=provider, restore=restore, restore_auth=None)
    return worker, engine, restore, karbor_provider.resources(graph)


def _run_flow(worker, engine, restore, resources):
    error = None
    try:
        worker.run_flow(engine)
    except Exception as raised:
        error = str(raised)
    columns = db.restore_get(admin, restore.id)
    return {
        'restore_id': restore.id, 'project_id': restore.project_id, 'status': restore.status,
        'error': error,
        'resources': told(resources),
        'new_resources': engine.storage.fetch('new_resources'),
        'resources_status': restore.resources_status, 'resources_reason': restore.resources_reason,
        'columns': {
            'status': columns['status'],
            'resources_status': json.loads(columns['resources_status'] or '{}'),
            'resources_reason': json.loads(columns['resources_reason'] or '{}')}}


def told(resources):
    return [{'type': one.type, 'id': one.id, 'name': one.name} for one in resources]


def serve():
    from karbor import service
    from karbor.cmd import protection

    import karbor_provider

    karbor_provider.make(arguments.folder, arguments.fail)
    path = os.path.join(arguments.folder, 'karbor.ini')
    with open(path, 'w') as conf:
        conf.write('[DEFAULT]\ntransport_url = %s\ncontrol_exchange = %s\n' % (
            arguments.transport_url, arguments.exchange))
        conf.write('provider_config_dir = %s\n' % os.path.abspath(arguments.folder))
        conf.write('[database]\nconnection = %s\n' % database_url())
    start = service.Service.start

    def start_and_tell(self):
        start(self)
        print(json.dumps({'serving': True}), flush=True)

    service.Service.start = start_and_tell
    install_hook()
    sys.argv[1:] = ['--config-file', path]
    protection.main()


def request():
    from karbor.services.protection import rpcapi

    import karbor_provider

    cfg.CONF.set_override('protection_topic', arguments.topic or 'karbor-protection')
    restore_id = (arguments.restore_id or [None])[0]
    fields = {'provider_id': karbor_provider.PROVIDER_ID, 'checkpoint_id': str(uuid.uuid4())}
    graph = []
    if arguments.folder:
        provider = karbor_provider.make(arguments.folder)
        graph = karbor_provider.usual_graph(arguments.volumes)
        fields['checkpoint_id'] = karbor_provider.checkpoint(provider, arguments.project, graph).id
    restore_auth = {'type': 'password', 'username': 'u', 'password': 'SECRET-PASSWORD'}
    said = {'checkpoint_id': fields['checkpoint_id'],
            'resources': told(karbor_provider.resources(graph)), 'answered': None}
    if arguments.rest:
        made = rest_create(dict(fields, restore_target='http://keystone/v3', parameters={},
                                restore_auth=restore_auth))
        return dict(said, restore_id=made['id'], status=made['status'])
    if arguments.database:
        restore = restore_of(restore_id, **fields)
    else:
        restore = karbor_side.new_restore(restore_id, project_id=arguments.project, **fields)
    api = rpcapi.ProtectionAPI()
    cfg.CONF.set_override('rpc_response_timeout', arguments.timeout)  # registered by the client
    if arguments.cast:
        api.client.prepare(version='1.0').cast(admin, 'restore', restore=restore,
                                               restore_auth=restore_auth)
    else:
        try:
            api.restore(admin, restore, restore_auth)
            said['answered'] = True
        except messaging.MessagingTimeout:
            said['answered'] = False
    return dict(said, restore_id=restore.id)


def rest_create(restore):
    """What karbor-api does for a POST of a restore; gives the restore as it answers it."""
    from karbor.api.v1 import restores
    import webob

    controller = restores.RestoresController()
    cfg.CONF.set_override('rpc_response_timeout', arguments.timeout)  # registered by the client
    asked = webob.Request.blank('/v1/%s/restores' % arguments.project, method='POST')
    asked.environ['karbor.context'] = admin
    return controller.create(asked, body={'restore': restore})['restore']


def read():
    from karbor.api.v1 import restores
    import webob

    def ask(path):
        asked = webob.Request.blank('/v1/%s/restores%s' % (arguments.project, path))
        asked.environ['karbor.context'] = admin
        return asked

    restore_id = arguments.restore_id[0]
    controller = restores.RestoresController()
    found = objects.Restore.get_by_id(admin, restore_id)
    return {'object': {name: getattr(found, name) for name in found.fields if found.obj_attr_is_set(name)},
            'show': controller.show(ask('/' + restore_id), restore_id),
            'index': controller.index(ask(''))}


if arguments.mode == 'serve':
    serve()
else:
    connect()
    modes = {'sync': sync, 'run': run, 'request': request, 'read': read}
    json.dump(modes[arguments.mode](), sys.stdout, default=str)
    print()
    sys.stdout.flush()
