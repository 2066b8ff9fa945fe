"""Lists stay below the worker's limits, and one bad item sinks no other."""

import json

from karbor_restore_client import message


def update(**fields):
    values = dict(type='V', resource_id='new', status='available', reason=None, sequence=1,
                  source_id=None, name=None)
    return message.resource_update(**dict(values, **fields))


def body(items):
    """What oslo.messaging puts on the wire, but for the context."""
    inner = json.dumps({'method': 'update_resources_status', 'args': {'resources': items}})
    return json.dumps({'oslo.version': '2.0', 'oslo.message': inner})


def test_a_list_holds_at_most_a_thousand():
    assert [len(one) for one in message.lists([update()] * 2001)] == [1000, 1000, 1]


def test_a_list_stays_below_a_mebibyte_whatever_its_text():
    for text in ('a', '"', '\u2603', '\U0001f600', '\\', '\n', '\x00'):
        items = [update(reason=text * 4000)] * 300
        lists = list(message.lists(items))
        assert sum(len(one) for one in lists) == 300
        assert all(len(body(one)) < 1024 * 1024 for one in lists)


def test_a_reason_alone_never_fills_a_body():
    assert len(body([update(reason='\U0001f600' * 10 ** 6)])) < 1024 * 1024


def test_an_item_that_may_be_refused_travels_alone_and_in_its_place():
    fine = update()
    for doubtful in (update(status='ACTIVE'), update(resource_id='has space'), update(type='a b'),
                     update(source_id='x' * 256), update(resource_id='\u00fc'), update(resource_id='')):
        assert list(message.lists([fine, fine, doubtful, fine])) == [[fine, fine], [doubtful], [fine]]


def test_a_name_is_cut_to_what_the_worker_takes():
    assert len(update(name='n' * 300)['name']) == 255
    assert len(message.expected_resource(('V', 'old', 'n' * 300))['name']) == 255


def test_older_contexts_know_a_project_as_the_tenant():
    assert message.context_of({'tenant': 'p', 'user': 'u', 'auth_token': 't'}) == {
        'project_id': 'p', 'user_id': 'u'}
