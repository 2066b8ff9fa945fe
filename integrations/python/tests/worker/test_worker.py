"""What the worker makes of a reporter's messages."""

import os
import subprocess
import sys
import textwrap

import pytest
import workers
from workers import eventually

from karbor_restore_client import RestoreReporter

VOLUME = 'OS::Cinder::Volume'


def reporter_of(worker, restore_id, context=None):
    return RestoreReporter(worker.transport, restore_id, context, topic=worker.name)


def test_a_retry_ends_as_it_ended_last(worker, recorded):
    reporter = reporter_of(worker, recorded)
    reporter.expect([(VOLUME, 'old-1', 'data'), (VOLUME, 'old-2', None)])
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-1'):
            raise RuntimeError('no space left on backend')
    with reporter.track(VOLUME, 'old-1', name='data') as tracked:
        tracked.resource_id = 'new-1'
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-2') as tracked:
            tracked.resource_id = 'new-2'
            raise RuntimeError('no space left on backend')
    reporter.finish('fail', '1 of 2 volumes failed')
    assert reporter.close(60)

    restore = eventually('the end', lambda: worker.restore(recorded)['status'] == 'fail'
                         and worker.restore(recorded))
    assert restore['reason'] == '1 of 2 volumes failed'
    assert restore['resources'] == {'undefined': 0, 'started': 0, 'restoring': 0, 'available': 1,
                                    'error': 1, 'expected': 2}
    assert restore['resources_status'] == {VOLUME + '#new-1': 'available', VOLUME + '#new-2': 'error'}
    assert restore['resources_reason'] == {VOLUME + '#new-2': 'no space left on backend'}


def test_a_retry_replaces_what_was_said_under_the_same_id_alone(worker, recorded):
    reporter = reporter_of(worker, recorded)

    def attempt(source_id, new_id, error=None):
        try:
            with reporter.track(VOLUME, source_id) as tracked:
                tracked.resource_id = new_id
                if error:
                    raise RuntimeError(error)
        except RuntimeError:
            pass

    attempt('old-1', 'n1', 'no space left')
    attempt('old-1', 'n2')
    attempt('old-2', 'n3', 'no space left')
    attempt('old-2', 'n3')
    # The source's own id is not listed beside one that was made of it.
    attempt('old-3', 'n4', 'no space left')
    attempt('old-3', None, 'no such backend')
    reporter.finish('fail')
    assert reporter.close(60)
    restore = eventually('the end', lambda: worker.restore(recorded)['status'] == 'fail'
                         and worker.restore(recorded))
    assert restore['resources_status'] == {
        VOLUME + '#n1': 'error', VOLUME + '#n2': 'available', VOLUME + '#n3': 'available',
        VOLUME + '#n4': 'error'}
    assert restore['resources_reason'] == {
        VOLUME + '#n1': 'no space left', VOLUME + '#n4': 'no space left'}


def test_many_updates_travel_together_and_a_refused_one_sinks_no_other(worker, recorded):
    reporter = reporter_of(worker, recorded, {'project_id': workers.PROJECT, 'is_admin': False})
    reporter.expect((VOLUME, 'old-%d' % n) for n in range(2500))
    for n in range(2500):
        if n == 1200:
            reporter.update(VOLUME, 'not an id', 'available')
            reporter.update(VOLUME, 'new-x', 'no such status')
        reporter.update(VOLUME, 'new-%d' % n, 'available', source_id='old-%d' % n)
    reporter.finish('success')
    assert reporter.close(60)
    restore = eventually('the end', lambda: worker.restore(recorded)['status'] == 'success'
                         and worker.restore(recorded))
    assert restore['resources']['available'] == 2500
    assert restore['resources']['expected'] == 2500


def test_what_is_said_before_the_restore_is_recorded_waits_for_it(worker, restore_id):
    reporter = reporter_of(worker, restore_id)
    with reporter.track(VOLUME, 'old-1'):
        pass
    assert reporter.close(60)
    worker.record(restore_id)
    eventually('the early update', lambda: worker.restore(restore_id)['resources']['available'] == 1)


def test_a_process_that_ends_at_once_has_said_all(worker, recorded):
    program = '''
        import sys
        import oslo_messaging as messaging
        from oslo_config import cfg
        from karbor_restore_client import RestoreReporter
        url, name, restore_id = sys.argv[1:]
        messaging.set_transport_defaults(name)
        cfg.CONF([], project='test', default_config_files=[])
        transport = messaging.get_rpc_transport(cfg.CONF, url=url)
        reporter = RestoreReporter(transport, restore_id, topic=name)
        for n in range(3000):
            reporter.update('V', 'new-%d' % n, 'available')
        '''
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run([sys.executable, '-W', 'ignore', '-c', textwrap.dedent(program),
                    os.environ['TEST_RABBITMQ_URL'], worker.name, recorded],
                   check=True, timeout=120, env=dict(os.environ, PYTHONPATH=root))
    eventually('all of it', lambda: worker.restore(recorded)['resources']['available'] == 3000)
