"""What cannot be used stands in the way of nothing else: bad items, names, ids, limits of time."""

import logging
import queue
import threading

import pytest
import wire as wires

from karbor_restore_client import reporter as reporters
from karbor_restore_client import RestoreReporter

VOLUME = 'OS::Cinder::Volume'


class Textless(Exception):
    def __str__(self):
        raise ValueError('SECRET')


def lines(caplog):
    """What the reporter itself logged."""
    return [one.getMessage() for one in caplog.records if one.name == reporters.LOG.name]


def test_a_bad_item_sinks_no_other_expected_resource(wire, reporter, caplog):
    reporter.expect([(VOLUME, 'old-1', 'data'), (VOLUME,), None, (VOLUME, Textless()), (VOLUME, None),
                     (None, 'old-2'), 'ab', {'resource_type': VOLUME, 'source_id': 'old-3'},
                     (VOLUME, 'old-4', Textless()), [VOLUME, 'old-5']])
    (_, arguments, _), = wire.take(1)
    assert arguments['resources'] == [
        {'resource_type': VOLUME, 'source_id': 'old-1', 'name': 'data'},
        {'resource_type': VOLUME, 'source_id': 'old-4'},
        {'resource_type': VOLUME, 'source_id': 'old-5'}]
    line, = lines(caplog)
    assert line.startswith('7 of 10 expected resources')


def test_a_name_without_text_is_left_out_alone(wire, reporter):
    reporter.update(VOLUME, 'new-1', 'available', source_id='old-1', name=Textless())
    with reporter.track(VOLUME, 'old-2', name=Textless()):
        pass
    updates = wire.updates(3)
    assert [one['resource_id'] for one in updates] == ['new-1', 'old-2', 'old-2']
    assert not any('name' in one for one in updates)


@pytest.mark.parametrize('no_id', ['', 'new id with space', 'n' * 256, '\u00fc', Textless()])
def test_a_track_whose_new_id_is_none_ends_under_its_sources(wire, reporter, caplog, no_id):
    with reporter.track(VOLUME, 'old-1') as tracked:
        tracked.resource_id = no_id
    with pytest.raises(RuntimeError):
        with reporter.track(VOLUME, 'old-2', resource_id=no_id) as tracked:
            raise RuntimeError('no space left')
    with reporter.track(VOLUME, 'old-3', resource_id=no_id) as tracked:
        tracked.resource_id = 'new-3'
    assert [(one['resource_id'], one['status'], one['source_id']) for one in wire.updates(6)] == [
        ('old-1', 'started', 'old-1'), ('old-1', 'available', 'old-1'),
        ('old-2', 'started', 'old-2'), ('old-2', 'error', 'old-2'),
        ('old-3', 'started', 'old-3'), ('new-3', 'available', 'old-3')]
    assert ['no id' in line for line in lines(caplog)] == [True] * 3


def test_a_track_does_not_end_under_an_id_that_was_said_and_is_none(wire, reporter):
    with reporter.track(VOLUME, 'old-1'):
        reporter.update(VOLUME, 'new id with space', 'restoring', source_id='old-1')
    assert [(one['resource_id'], one['status']) for one in wire.updates(3)] == [
        ('old-1', 'started'), ('new id with space', 'restoring'), ('old-1', 'available')]


def test_nothing_is_raised_for_what_it_is_given_nor_told_in_the_log(wire, restore_id, caplog):
    with caplog.at_level(logging.DEBUG):
        broken = RestoreReporter(None, restore_id, context=object())
        broken.update(None, None, None)
        broken.update(VOLUME, 'new-1', 'error', reason='SECRET')
        broken.expect([1, 2])
        broken.expect(5)
        broken.finish(None)
        with broken.track(None, None):
            pass
        with pytest.raises(Textless):
            with broken.track(VOLUME, 'old-1'):
                raise Textless()
        broken.close(10)
        for timeout in (None, 'x', object(), float('nan'), float('inf'), 10 ** 20, -1):
            assert broken.close(timeout) is True
    assert 'could not be sent' in caplog.text
    assert 'SECRET' not in caplog.text


@pytest.mark.parametrize('no_id', [None, Textless()])
def test_a_reporter_without_a_restore_id_says_so_and_sends_nothing(caplog, no_id):
    reporter = RestoreReporter(object(), no_id)
    assert 'no restore id' in lines(caplog)[0]
    reporter.expect([(VOLUME, 'old-1')])
    with reporter.track(VOLUME, 'old-1'):
        pass
    reporter.finish('success')
    assert reporter.close() is True
    # Nothing was ever queued.
    assert reporter._sender._thread is None
    assert 'SECRET' not in caplog.text


class Stuck(object):
    """A transport whose sender is held until it is let go."""

    def __init__(self):
        self.go = threading.Event()

    def __getattr__(self, name):
        self.go.wait()
        raise AttributeError(name)


@pytest.mark.parametrize('timeout', [None, float('inf'), 10 ** 20])
def test_close_without_a_limit_waits_until_all_is_sent(restore_id, monkeypatch, timeout):
    transport = Stuck()
    reporter = RestoreReporter(transport, restore_id)
    reporter.update(VOLUME, 'new-1', 'available')
    waits, answers = threading.Event(), queue.Queue()
    changed = reporter._sender._changed
    wait = changed.wait
    monkeypatch.setattr(changed, 'wait', lambda seconds: waits.set() or wait(seconds))
    thread = threading.Thread(target=lambda: answers.put(reporter.close(timeout)))
    thread.start()
    assert waits.wait(wires.PATIENCE_S)
    transport.go.set()
    thread.join()
    assert answers.get_nowait() is True


def test_close_waits_as_by_default_for_what_is_no_number(restore_id, monkeypatch, caplog):
    transport = Stuck()
    reporter = RestoreReporter(transport, restore_id)
    monkeypatch.setattr(reporters, 'CLOSE_S', 0)
    reporter.update(VOLUME, 'new-1', 'available')
    for timeout in ('x', object(), float('nan')):
        assert reporter.close(timeout) is False
    assert sum('no number' in line for line in lines(caplog)) == 3
    transport.go.set()
    assert reporter.close(10) is True
