"""What a reporter sends, seen by oslo.messaging's own server."""

import logging

import pytest

from karbor_restore_client import RestoreReporter

VOLUME = 'OS::Cinder::Volume'


def test_an_update_carries_all_that_was_said(wire, reporter):
    reporter.update(VOLUME, 'new-1', 'restoring', reason='50%', source_id='old-1', name='data')
    update, = wire.updates(1)
    assert isinstance(update.pop('sequence'), int)
    assert update == {'resource_type': VOLUME, 'resource_id': 'new-1', 'status': 'restoring',
                      'reason': '50%', 'source_id': 'old-1', 'name': 'data'}


def test_what_is_not_said_is_not_sent(wire, reporter):
    reporter.update(VOLUME, 'new-1', 'available', reason='', name=None)
    assert set(wire.updates(1)[0]) == {'resource_type', 'resource_id', 'status', 'sequence'}


def test_updates_of_one_attempt_carry_one_sequence(wire, reporter):
    for status in ('started', 'restoring', 'available'):
        reporter.update(VOLUME, 'new-1', status)
    assert len({one['sequence'] for one in wire.updates(3)}) == 1


def test_each_reporter_is_an_attempt_with_a_greater_sequence(wire, reporter, restore_id):
    second = RestoreReporter(wire.transport, restore_id, topic=wire.topic)
    # In the other order, so that it is not the order of sending.
    second.update(VOLUME, 'new-1', 'started')
    reporter.update(VOLUME, 'new-1', 'error')
    later, earlier = wire.updates(2)
    assert later['sequence'] > earlier['sequence']


def test_started_after_a_final_word_begins_an_attempt_and_restoring_does_not(wire, reporter):
    for status in ('error', 'restoring', 'started', 'available'):
        reporter.update(VOLUME, 'new-1', status)
    error, late, again, available = [one['sequence'] for one in wire.updates(4)]
    assert error == late < again == available


def test_track_tells_the_start_and_the_end_under_the_new_id(wire, reporter):
    with reporter.track(VOLUME, 'old-1', name='data') as tracked:
        started, = wire.updates(1)
        tracked.resource_id = 'new-1'
    ended, = wire.updates(1)
    assert (started['resource_id'], started['status']) == ('old-1', 'started')
    assert (ended['resource_id'], ended['status']) == ('new-1', 'available')
    assert started['source_id'] == ended['source_id'] == 'old-1'
    assert started['name'] == ended['name'] == 'data'
    assert started['sequence'] == ended['sequence']


def test_track_without_a_new_id_speaks_of_the_source(wire, reporter):
    with reporter.track(VOLUME, 'old-1') as tracked:
        assert tracked.resource_id == 'old-1'
    assert [(one['resource_id'], one['status']) for one in wire.updates(2)] == [
        ('old-1', 'started'), ('old-1', 'available')]


def test_track_with_a_new_id_speaks_of_it_from_the_start(wire, reporter):
    with reporter.track(VOLUME, 'old-1', resource_id='new-1'):
        pass
    assert [(one['resource_id'], one['status']) for one in wire.updates(2)] == [
        ('new-1', 'started'), ('new-1', 'available')]


def test_an_exception_is_told_and_goes_on(wire, reporter):
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-1'):
            raise RuntimeError('no space left on backend')
    with pytest.raises(KeyboardInterrupt):
        with reporter.track(VOLUME, 'old-2'):
            raise KeyboardInterrupt()
    _, failed, _, stopped = wire.updates(4)
    assert (failed['status'], failed['reason']) == ('error', 'no space left on backend')
    assert (stopped['status'], stopped['reason']) == ('error', 'KeyboardInterrupt')


def test_a_second_track_is_a_retry_with_a_greater_sequence(wire, reporter):
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-1'):
            raise RuntimeError('once')
    with reporter.track(VOLUME, 'old-1'):
        pass
    first, failed, second, done = [one['sequence'] for one in wire.updates(4)]
    assert first == failed < second == done


def test_an_update_within_and_after_a_track_belongs_to_it(wire, reporter):
    with reporter.track(VOLUME, 'old-1') as tracked:
        reporter.update(VOLUME, 'new-1', 'restoring', source_id='old-1')
        tracked.resource_id = 'new-1'
    reporter.update(VOLUME, 'new-1', 'error', 'detached')
    updates = wire.updates(4)
    assert [one['status'] for one in updates] == ['started', 'restoring', 'available', 'error']
    assert len({one['sequence'] for one in updates}) == 1


def test_what_was_said_within_a_track_is_not_said_again(wire, reporter):
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-1'):
            reporter.update(VOLUME, 'new-1', 'error', 'quota exceeded', source_id='old-1')
            raise RuntimeError('restore failed')
    with reporter.track(VOLUME, 'old-2'):
        reporter.update(VOLUME, 'new-2', 'available', source_id='old-2')
    reporter.update(VOLUME, 'last', 'available')
    assert [(one['resource_id'], one['status'], one.get('reason')) for one in wire.updates(5)] == [
        ('old-1', 'started', None), ('new-1', 'error', 'quota exceeded'),
        ('old-2', 'started', None), ('new-2', 'available', None), ('last', 'available', None)]


def test_a_raw_status_with_a_reason_ends_as_an_error_with_that_reason(wire, reporter):
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-1'):
            reporter.update(VOLUME, 'new-1', 'BUILD', 'Invalid status.', source_id='old-1')
            raise RuntimeError('restore failed')
    assert [(one['status'], one.get('reason')) for one in wire.updates(3)] == [
        ('started', None), ('BUILD', 'Invalid status.'), ('error', 'Invalid status.')]


def test_a_progress_reason_gives_way_to_the_exceptions_text(wire, reporter):
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-1'):
            reporter.update(VOLUME, 'new-1', 'restoring', '50%', source_id='old-1')
            raise RuntimeError('restore failed')
    assert wire.updates(3)[2]['reason'] == 'restore failed'


def test_the_restores_own_status_has_no_sequence(wire, reporter):
    reporter.finish('fail', reason=RuntimeError('1 of 2 failed'))
    (method, arguments, _), = wire.take(1)
    assert method == 'update_restore_status'
    assert arguments == {'status': 'fail', 'reason': '1 of 2 failed'}


def test_expected_resources_come_in_lists_of_a_thousand(wire, reporter):
    reporter.expect((VOLUME, 'old-%d' % n, 'disk %d' % n) for n in range(2500))
    requests = wire.take(3)
    assert [method for method, _, _ in requests] == ['expect_resources'] * 3
    assert [len(arguments['resources']) for _, arguments, _ in requests] == [1000, 1000, 500]
    assert requests[0][1]['resources'][0] == {
        'resource_type': VOLUME, 'source_id': 'old-0', 'name': 'disk 0'}


def test_expected_resources_need_no_name(wire, reporter):
    reporter.expect([(VOLUME, 'old-1'), (VOLUME, 'old-2', None)])
    (_, arguments, _), = wire.take(1)
    assert arguments['resources'] == [{'resource_type': VOLUME, 'source_id': 'old-1'},
                                      {'resource_type': VOLUME, 'source_id': 'old-2'}]


def test_close_sends_what_waits_and_ends_it(wire, reporter, caplog):
    for n in range(3000):
        reporter.update(VOLUME, 'new-%d' % n, 'available')
    assert reporter.close(60) is True
    with caplog.at_level(logging.WARNING, 'karbor_restore_client'):
        reporter.update(VOLUME, 'late', 'available')
    assert '1 messages on restores could not be sent' in caplog.text
    assert [one['resource_id'] for one in wire.updates(3000)] == ['new-%d' % n for n in range(3000)]
    assert wire.requests.empty()


class Context(object):
    def to_dict(self):
        return {'user_id': 'u1', 'project_id': 'p1', 'is_admin': False, 'request_id': 'req-1',
                'auth_token': 'SECRET', 'service_catalog': [{'SECRET': 1}], 'roles': ['member']}


def test_of_a_context_no_token_is_sent(wire, restore_id):
    RestoreReporter(wire.transport, restore_id, Context(), topic=wire.topic).finish('success')
    (_, _, context), = wire.take(1)
    sent = context if isinstance(context, dict) else context.to_dict()
    assert sent['project_id'] == 'p1' and sent['user_id'] == 'u1' and sent['request_id'] == 'req-1'
    assert sent['is_admin'] is False
    assert 'SECRET' not in repr(sent)


def test_a_service_without_a_context_speaks_as_admin(wire, restore_id):
    RestoreReporter(wire.transport, restore_id, topic=wire.topic).finish('success')
    assert wire.take(1)[0][2]['is_admin'] is True
