"""`karbor-protection` itself, started as the deployment page says."""

import os
import subprocess
import sys

import documents
from karbor.db import migration
import karbor_provider
from oslo_db.sqlalchemy import enginefacade

ROOT = os.path.join(documents.ROOT, 'integrations', 'python')
# What the page's program says once it is in place, so that the test need not look into the process.
TELL = '''
import karbor.objects.restore, karbor.service

start = karbor.service.Service.start

def start_and_tell(self):
    start(self)
    print('saved by', karbor.objects.restore.Restore.save.__globals__['__name__'], flush=True)

karbor.service.Service.start = start_and_tell
'''


def test_the_protection_service_starts_with_the_hook_and_ends(karbor, tmp_path):
    connection = 'sqlite:///%s/service.sqlite' % tmp_path
    migration.db_sync(engine=enginefacade.LegacyEngineFacade(connection).get_engine())
    karbor_provider.make(str(tmp_path))
    configuration = tmp_path / 'karbor.ini'
    configuration.write_text(
        '[DEFAULT]\ntransport_url = fake://\nprovider_config_dir = %s\n'
        '[database]\nconnection = %s\n' % (tmp_path, connection))
    shown = documents.source('docs/deploying-with-karbor.md', 'protection.main()')
    program = tmp_path / 'karbor-protection'
    program.write_text(shown.replace('protection.main()', TELL + 'protection.main()'))

    log = open(str(tmp_path / 'log'), 'w')
    service = subprocess.Popen(
        [sys.executable, '-W', 'ignore', str(program), '--config-file', str(configuration)],
        env=dict(os.environ, PYTHONPATH=ROOT), stdout=subprocess.PIPE, stderr=log,
        universal_newlines=True)
    try:
        # Its log comes there too; where it ended before, nothing is found.
        said = next((line for line in service.stdout if line.startswith('saved by')), '')
    finally:
        service.terminate()
        service.communicate(timeout=60)
        log.close()
    assert said == 'saved by karbor_restore_client.karbor_hook.patches\n', (tmp_path / 'log').read_text()
