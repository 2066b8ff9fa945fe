"""The hook comes and goes without a trace, and never stands in a restore's way."""

import copy

from karbor import rpc
from karbor.objects import base as objects_base
from karbor.objects import restore as restore_object
from karbor.services.protection import protection_plugin
from karbor.services.protection import resource_flow
from karbor.services.protection.flows import restore as restore_flow
from karbor.services.protection.graph import GraphNode
import karbor_provider
import pytest

from karbor_restore_client import karbor_hook

A = 'OS::Test::A'
WALKER = resource_flow.ResourceFlowGraphWalkerListener
PLACES = ((restore_flow, 'get_flow'), (WALKER, '_create_hook_tasks'),
          (restore_object.Restore, 'update_resource_status'), (restore_object.Restore, 'save'))


def graph():
    return [GraphNode(value=karbor_provider.resource(A, 'a'), child_nodes=())]


def places():
    return [vars(owner)[name] for owner, name in PLACES]


class Silent(protection_plugin.Operation):
    def on_main(self, checkpoint, resource, context, parameters, **kwargs):
        pass


def test_installed_twice_it_is_there_once_and_gone_at_once(karbor, server):
    before = places()
    karbor_hook.install(server.transport, server.topic)
    once = places()
    assert all(new is not old for new, old in zip(once, before))
    karbor_hook.install()
    assert all(new is old for new, old in zip(places(), once))
    karbor_hook.uninstall()
    assert all(new is old for new, old in zip(places(), before))
    karbor_hook.uninstall()


def test_what_somebody_wrapped_around_it_stays_and_works(karbor, server, restore_id, monkeypatch):
    karbor_hook.install(server.transport, server.topic)
    ours = restore_object.Restore.save
    calls = []

    def theirs(self):
        calls.append(self.id)
        return ours(self)

    monkeypatch.setattr(restore_object.Restore, 'save', theirs)
    karbor_hook.uninstall()
    assert restore_object.Restore.save is theirs
    assert karbor.run(karbor.flow(karbor.restore(restore_id), graph(), {A: Silent})) is None
    assert calls == [restore_id, restore_id]
    assert restore_id not in server.requests


def test_a_flow_that_runs_after_its_removal_runs_unheard(karbor, server, wire, restore_id):
    karbor_hook.install(server.transport, server.topic)
    flow = karbor.flow(karbor.restore(restore_id), graph(), {A: Silent})
    karbor_hook.uninstall()
    assert karbor.run(flow) is None
    assert wire.take(1)[0][0] == 'expect_resources'
    assert wire.requests.empty()


def test_a_karbor_that_is_not_as_expected_is_left_as_it_is(karbor, monkeypatch):
    monkeypatch.delattr(restore_object.Restore, 'update_resource_status')
    before = [vars(owner).get(name) for owner, name in PLACES]
    with pytest.raises(AttributeError):
        karbor_hook.install()
    assert [vars(owner).get(name) for owner, name in PLACES] == before


def test_karbors_own_transport_is_used_where_none_is_given(karbor, server, wire, restore_id, monkeypatch):
    monkeypatch.setattr(rpc, 'TRANSPORT', None)
    karbor_hook.install(topic=server.topic)
    try:
        # Karbor opens it after the hook is in.
        monkeypatch.setattr(rpc, 'TRANSPORT', server.transport)
        assert karbor.run(karbor.flow(karbor.restore(restore_id), graph(), {A: Silent})) is None
    finally:
        karbor_hook.uninstall()
    assert wire.take(1)[0][0] == 'expect_resources'


def test_a_restore_goes_on_when_nothing_can_be_reported(karbor, restore_id):
    karbor_hook.install(object())
    try:
        restore = karbor.restore(restore_id)
        assert karbor.run(karbor.flow(restore, graph(), {A: Silent})) is None
    finally:
        karbor_hook.uninstall()
    assert restore.status == 'success'


class Looks(protection_plugin.Operation):
    """Uses the Restore object as more than something to speak through."""

    seen = {}

    def on_main(self, checkpoint, resource, context, parameters, restore, **kwargs):
        assert isinstance(restore, restore_object.Restore)
        restore.update_resource_status(resource.type, 'new-1', 'restoring')
        restore.save()
        sent = objects_base.KarborObjectSerializer().serialize_entity(context, restore)
        self.seen.update(sent=sent, deep=copy.deepcopy(restore), shallow=copy.copy(restore),
                         changes=restore.obj_what_changed())


def test_a_plugin_sees_the_flows_own_restore_object(karbor, hook, restore_id):
    restore = karbor.restore(restore_id)
    assert karbor.run(karbor.flow(restore, graph(), {A: Looks})) is None
    seen = Looks.seen
    assert seen['sent']['karbor_object.name'] == 'Restore'
    assert seen['sent']['karbor_object.data']['id'] == restore_id
    assert type(seen['shallow']) is restore_object.Restore
    assert seen['deep'].resources_status == {A + '#new-1': 'restoring'}
    assert restore.resources_status == {A + '#new-1': 'restoring'}
    assert 'resources_status' not in seen['changes']
