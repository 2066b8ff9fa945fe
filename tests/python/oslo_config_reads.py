"""What oslo.config reads of files, with the options of oslo.messaging and oslo.db: FILE...

Prints a JSON line for each: the values, or null where oslo.config refuses the file or a value. A
file that is not there is made first: the sample that oslo-config-generator writes of the libraries
in Karbor's, with the defaults in force.
"""

import json
import os
import re
import sys
import warnings

warnings.simplefilter('ignore')

from oslo_config import cfg  # noqa: E402
from oslo_config import generator  # noqa: E402
from oslo_db import options as db_options  # noqa: E402
import oslo_messaging.opts  # noqa: E402

# Of Karbor's `etc/oslo-config-generator/karbor.conf`; its own options need every client library.
NAMESPACES = ('oslo.messaging', 'oslo.db', 'oslo.log', 'oslo.policy', 'oslo.middleware',
              'keystonemiddleware.auth_token')
NAMES = {
    None: ('transport_url', 'control_exchange', 'rpc_response_timeout'),
    'oslo_messaging_rabbit': (
        'amqp_durable_queues', 'rabbit_quorum_queue', 'rabbit_transient_quorum_queue', 'ssl',
        'ssl_ca_file', 'ssl_cert_file', 'ssl_key_file', 'heartbeat_timeout_threshold'),
    'oslo_messaging_notifications': ('driver', 'topics'),
    'database': ('connection',),
}


def make_sample(path):
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    arguments = ['--output-file', path]
    for namespace in NAMESPACES:
        arguments += ['--namespace', namespace]
    conf(arguments)
    generator.generate(conf)
    with open(path) as file:
        sample = file.read()
    in_force = re.sub(r'^#(\w+ = (?!<None>).*)$', r'\1', sample, flags=re.M)
    assert in_force.count('\nrabbit_quorum_queue = ') == 1, 'the sample has other names'
    with open(path, 'w') as file:
        file.write(in_force)


def read(path):
    conf = cfg.ConfigOpts()
    for group, options in oslo_messaging.opts.list_opts():
        conf.register_opts(options, group=group)
    conf.register_opts(db_options.database_opts, group='database')
    # What references in the files name.
    conf.register_opts([cfg.StrOpt('one'), cfg.StrOpt('two')])
    conf.register_opts([cfg.StrOpt('one'), cfg.StrOpt('here')], group='oslo_messaging_rabbit')
    try:
        conf(['--config-file', path], project='test')
        return {name: getattr(conf[group] if group else conf, name)
                for group, names in NAMES.items() for name in names}
    except (cfg.Error, RecursionError):
        return None


for path in sys.argv[1:]:
    if not os.path.exists(path):
        make_sample(path)
    print(json.dumps(read(path)))
