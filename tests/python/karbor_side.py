"""Karbor's side of the broker, made of its own unmodified code.

Takes a transport URL, an exchange and a topic; gives Karbor's request context, its Restore object
and its RPC client with the exceptions that it allows from a server.
"""

import logging
import uuid
import warnings

warnings.simplefilter('ignore')

from karbor import context as karbor_context  # noqa: E402
from karbor import objects  # noqa: E402
from karbor import rpc  # noqa: E402
from karbor.common import config  # noqa: E402,F401 - registers Karbor's options
from karbor.objects import base as objects_base  # noqa: E402
from oslo_config import cfg  # noqa: E402
import oslo_messaging as messaging  # noqa: E402

PROJECT = '39bb894794b741e982bd26144d2949f6'

logging.basicConfig(level=logging.WARNING)
objects.register_all()


def connect(url, exchange):
    """Connects as a Karbor service does whose configuration names this broker."""
    messaging.set_transport_defaults(exchange)
    cfg.CONF([], project='karbor', default_config_files=[])
    messaging.get_rpc_transport(cfg.CONF, url=url).cleanup()  # registers the options
    cfg.CONF.set_override('transport_url', url)
    rpc.init(cfg.CONF)
    return rpc.TRANSPORT


def client(topic, version='1.0', **target):
    """Karbor's RPC client: its context and object serializers, its allowed exceptions."""
    target = messaging.Target(topic=topic, version=version, **target)
    return rpc.get_client(target, serializer=objects_base.KarborObjectSerializer())


def admin(project=PROJECT):
    return karbor_context.RequestContext('user-1', project, is_admin=True, auth_token='SECRET-TOKEN')


def member(project):
    return karbor_context.RequestContext('user-2', project, is_admin=False, auth_token='SECRET-TOKEN')


def new_restore(restore_id=None, **fields):
    values = {
        'id': restore_id or str(uuid.uuid4()),
        'project_id': PROJECT,
        'provider_id': 'cf56bd3e-97a7-4078-b6d5-f36246333fd9',
        'checkpoint_id': 'dcb20606-ad71-40a3-80e4-ef0fafdad0c3',
        'restore_target': 'http://keystone/v3',
        'parameters': {},
        'status': 'in_progress',
        'resources_status': {},
        'resources_reason': {},
    }
    values.update(fields)
    return objects.Restore(admin(), **values)


def raises(exception, function, *args, **kwargs):
    """Calls, and gives the exception that must come; oslo.messaging raises a subclass of it."""
    try:
        result = function(*args, **kwargs)
    except exception as error:
        return error
    raise AssertionError('%s was not raised, but returned %r' % (exception.__name__, result))
