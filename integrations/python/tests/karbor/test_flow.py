"""What is heard of a restore flow of Karbor's with the hook in it."""

import threading

import documents
import eventlet
from karbor import exception
from karbor import objects
from karbor.services.protection import protection_plugin
from karbor.services.protection.graph import GraphNode
from karbor.services.protection.protection_plugins import noop_plugin
import karbor_provider
import pytest

from wire import Wire

A = 'OS::Test::A'
B = 'OS::Test::B'


def node(type, *children):
    return GraphNode(value=karbor_provider.resource(type, 'name of ' + type), child_nodes=children)


def told(updates):
    return [(one['resource_id'], one['status'], one.get('reason')) for one in updates]


class Silent(protection_plugin.Operation):
    def on_main(self, checkpoint, resource, context, parameters, **kwargs):
        kwargs['new_resources'][resource.id] = 'new-' + resource.id


class Failing(protection_plugin.Operation):
    def on_main(self, checkpoint, resource, context, parameters, **kwargs):
        raise exception.RestoreResourceFailed(name='Image Backup', reason='no space left',
                                              resource_id=resource.id, resource_type=resource.type)


class GivesItsReason(protection_plugin.Operation):
    def on_main(self, checkpoint, resource, context, parameters, restore, **kwargs):
        restore.update_resource_status(resource.type, 'new-1', 'error', 'quota exceeded')
        restore.save()
        raise RuntimeError('restore failed')


class Raw(protection_plugin.Operation):
    def on_main(self, checkpoint, resource, context, parameters, restore, **kwargs):
        restore.update_resource_status(resource.type, 'new-1', 'BUILD')
        restore.save()


@pytest.mark.parametrize('operation, word', [(Silent, 'new'), (noop_plugin.NoopOperation, 'old'),
                                             (protection_plugin.Operation, 'old'), (object, 'old')])
def test_a_plugin_that_says_nothing_is_heard(karbor, hook, wire, restore_id, operation, word):
    graph = [node(A)]
    source = graph[0].value
    assert karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: operation})) is None

    expected, begun = wire.take(2)
    assert expected[0] == 'expect_resources'
    assert expected[1]['resources'] == [
        {'resource_type': A, 'source_id': source.id, 'name': source.name}]
    assert begun[:2] == ('update_restore_status', {'status': 'in_progress'})
    updates = wire.updates(2)
    new_id = 'new-' + source.id if word == 'new' else source.id
    assert told(updates) == [(source.id, 'started', None), (new_id, 'available', None)]
    assert {(one['source_id'], one['name'], one['resource_type']) for one in updates} == {
        (source.id, source.name, A)}
    assert len({one['sequence'] for one in updates}) == 1
    assert wire.take(1)[0][:2] == ('update_restore_status', {'status': 'success'})


def test_a_failure_is_told_with_its_text_and_why_the_restore_failed(karbor, hook, wire, restore_id):
    graph = [node(A)]
    assert karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: Failing})) is not None
    wire.take(2)
    started, failed = wire.updates(2)
    text = ('Restore Image Backup failed: no space left, id=%s, type=%s' % (graph[0].value.id, A))
    assert told([started, failed]) == [(graph[0].value.id, 'started', None),
                                       (graph[0].value.id, 'error', text)]
    assert wire.take(1)[0][1] == {'status': 'fail', 'reason': '%s %s: %s' % (A, graph[0].value.id, text)}


def test_the_plugins_own_reason_stays(karbor, hook, wire, restore_id):
    graph = [node(A)]
    karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: GivesItsReason}))
    wire.take(2)
    assert told(wire.updates(2)) == [(graph[0].value.id, 'started', None),
                                     ('new-1', 'error', 'quota exceeded')]
    assert wire.take(1)[0][1]['status'] == 'fail'


def test_a_raw_status_is_passed_on_and_the_end_is_told(karbor, hook, wire, restore_id):
    graph = [node(A)]
    karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: Raw}))
    wire.take(2)
    updates = wire.updates(3)
    assert told(updates)[1:] == [('new-1', 'BUILD', None), ('new-1', 'available', None)]
    assert {one['source_id'] for one in updates} == {graph[0].value.id}


class SpeaksElsewhere(protection_plugin.Operation):
    """From a thread of its own, and through an object of its own."""

    def on_main(self, checkpoint, resource, context, parameters, restore, **kwargs):
        def speak():
            restore.update_resource_status(resource.type, 'threads', 'restoring', '')

        thread = threading.Thread(target=speak)
        thread.start()
        thread.join()
        own = objects.Restore.get_by_id(context, restore.id)
        own.update_resource_status(resource.type, 'loaded', 'available')
        # Not the resource that this operation is about.
        restore.update_resource_status(B, 'other', 'available')


def test_what_a_plugin_says_is_tied_to_its_source_from_wherever_it_says_it(
        karbor, hook, wire, restore_id):
    graph = [node(A)]
    assert karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: SpeaksElsewhere})) is None
    wire.take(2)
    updates = wire.updates(5)
    assert [(one['resource_id'], one['status'], one.get('source_id')) for one in updates] == [
        (graph[0].value.id, 'started', graph[0].value.id),
        ('threads', 'restoring', graph[0].value.id), ('loaded', 'available', graph[0].value.id),
        ('other', 'available', None), ('threads', 'available', graph[0].value.id)]


class Interleaved(protection_plugin.Operation):
    def on_main(self, checkpoint, resource, context, parameters, restore, **kwargs):
        new_id = 'new-' + resource.id
        for status in ('restoring', 'available'):
            eventlet.sleep(0.01)
            restore.update_resource_status(resource.type, new_id, status)
            restore.save()


def test_restores_at_the_same_time_are_told_apart(karbor, hook, server):
    graphs = {restore_id: [node(A), node(A), node(A)] for restore_id in (
        '11111111-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000002')}
    flows = [karbor.flow(karbor.restore(restore_id), graph, {A: Interleaved})
             for restore_id, graph in graphs.items()]
    for thread in [eventlet.spawn(karbor.run, flow) for flow in flows]:
        assert thread.wait() is None
    for restore_id, graph in graphs.items():
        updates = Wire(server, restore_id).updates(9)
        sources = {one.value.id for one in graph}
        assert {one['source_id'] for one in updates} == sources
        assert {(one['resource_id'], one['source_id']) for one in updates if one['status'] == 'available'} == {
            ('new-' + source, source) for source in sources}


class Prepared(protection_plugin.Operation):
    def on_prepare_begin(self, checkpoint, resource, context, parameters, **kwargs):
        pass

    def on_complete(self, checkpoint, resource, context, parameters, **kwargs):
        pass


def test_an_operation_lasts_from_the_plugins_first_hook_to_its_last(karbor, hook, wire, restore_id):
    graph = [node(A, node(B))]
    parent, child = graph[0].value.id, graph[0].child_nodes[0].value.id
    assert karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: Prepared, B: Silent})) is None
    wire.take(2)
    assert told(wire.updates(4)) == [(parent, 'started', None), (child, 'started', None),
                                     ('new-' + child, 'available', None), (parent, 'available', None)]


def test_an_operation_cut_off_by_anothers_failure_does_not_stay_started(karbor, hook, wire, restore_id):
    graph = [node(A, node(B))]
    parent, child = graph[0].value.id, graph[0].child_nodes[0].value.id
    karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: Prepared, B: Failing}))
    wire.take(2)
    updates = told(wire.updates(4))
    assert updates[3] == (parent, 'error', 'the restore failed before this operation ended')
    assert wire.take(1)[0][1]['reason'].startswith(B + ' ' + child)


def test_what_is_sent_is_of_the_restores_project_and_holds_no_token(karbor, hook, wire, restore_id):
    project_id = 'aaaaaaaa-0000-4000-8000-00000000000a'
    flow = karbor.flow(karbor.restore(restore_id, project_id), [node(A)], {A: Silent})
    assert karbor.run(flow) is None
    for _, _, context in wire.take(3):
        assert context['project_id'] == project_id
        assert 'SECRET' not in repr(context)


def test_the_guides_plugin_is_heard(karbor, hook, wire, restore_id):
    class Backend(object):
        def begin(self, checkpoint, source):
            return 'new-' + source

        def wait(self, disk_id):
            raise BackendError('no space left on backend')

    class BackendError(Exception):
        pass

    names = {'BackendError': BackendError}
    exec(documents.example('docs/plugins.md', 'RestoreOperation'), names)
    names['RestoreOperation']._backend = Backend()
    graph = [node(A)]
    source = graph[0].value.id
    karbor.run(karbor.flow(karbor.restore(restore_id), graph, {A: names['RestoreOperation']}))
    wire.take(2)
    assert told(wire.updates(3)) == [(source, 'started', None), ('new-' + source, 'restoring', None),
                                     ('new-' + source, 'error', 'no space left on backend')]
