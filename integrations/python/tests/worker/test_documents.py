"""The examples of the documents do what is said of them."""

import os

import documents
import pytest
import workers
from workers import eventually


@pytest.fixture
def example(worker):
    def find(document, holding):
        return documents.example(document, holding, url=os.environ['TEST_RABBITMQ_URL'],
                                 topic=worker.name)
    return find


def test_the_guides_example_with_the_package(worker, recorded, example):
    names = {}
    exec(example('docs/plugins.md', 'def restore_disks'), names)
    tried = []

    def restore_one(disk_id):
        tried.append(disk_id)
        if disk_id == 'bad' or tried == ['once']:
            raise OSError('no space left on backend')
        return 'new-' + disk_id

    names['restore_disks'](recorded, {'project_id': workers.PROJECT},
                           {'once': 'first', 'bad': 'second'}, restore_one)
    restore = eventually('the end', lambda: worker.restore(recorded)['status'] == 'fail'
                         and worker.restore(recorded))
    assert restore['reason'] == '1 of 2 disks failed'
    assert restore['resources_status'] == {'My::Disk#new-once': 'available', 'My::Disk#bad': 'error'}
    assert restore['resources']['expected'] == 2


def test_the_guides_call_is_refused_with_what_is_accepted(worker, recorded, example, capsys):
    exec(example('docs/plugins.md', 'client.call'), {'restore_id': recorded})
    printed = capsys.readouterr().out
    assert printed.startswith('InvalidInput') and 'available' in printed


def test_the_example_of_the_packages_page(worker, recorded, example):
    exec(example('integrations/python/README.md', 'reporter.track'), {
        'restore_id': recorded, 'context': {'project_id': workers.PROJECT},
        'restore_volume': lambda source: 'new-1'})
    restore = eventually('the end', lambda: worker.restore(recorded)['status'] == 'fail'
                         and worker.restore(recorded))
    assert restore['resources_status'] == {
        'OS::Cinder::Volume#new-1': 'available', 'OS::Cinder::Volume#new-2': 'error'}


def test_the_example_of_the_projects_page(worker, recorded):
    code = documents.example('README.md', 'reporter.track', topic=worker.name)
    exec(code, {'transport': worker.transport, 'restore_id': recorded, 'old_id': 'old-1',
                'context': {'project_id': workers.PROJECT}, 'restore_volume': lambda source: 'new-1'})
    eventually('the volume', lambda: worker.restore(recorded)['resources']['available'] == 1)
