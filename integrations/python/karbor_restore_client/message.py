"""What is put on the wire: arguments of the worker's methods, lists and their limits. Pure.

The worker refuses a whole list for one bad item, so an item that is not surely good travels alone.
The rules are those of the worker's page `docs/PROTOCOL.md`, Validation.
"""

import json
import re

STATUSES = frozenset(('undefined', 'started', 'restoring', 'available', 'error'))
LIST_ITEMS = 1000
# The worker takes bodies of 1 MiB (`limits.body_bytes`); the rest is for the context and the envelope.
LIST_BYTES = 960 * 1024
# Above what the worker keeps of a reason (4096 characters), below what a body may hold.
REASON_CHARS = 16384
NAME_CHARS = 255

_TYPE = re.compile(r'[A-Za-z0-9_.:-]{1,255}\Z')
_ID = re.compile(r'[!-~]{1,255}\Z')
# Of a request's context the worker reads these and no more. A token in a durable queue would stand
# on the broker's disk.
_CONTEXT = ('user_id', 'project_id', 'is_admin', 'request_id', 'global_request_id')


def context_of(context):
    """What the worker reads of a request context.

    :param context: a context with `to_dict()`, its dictionary, or None for the service itself, which
        may speak of every project's restores
    :returns: dict without tokens or catalogues
    """
    if context is None:
        return {'is_admin': True}
    values = context.to_dict() if hasattr(context, 'to_dict') else context
    kept = {key: values[key] for key in _CONTEXT if values.get(key) is not None}
    # Older releases of oslo.context know a project as the tenant.
    for key, old in (('project_id', 'tenant'), ('user_id', 'user')):
        if key not in kept and values.get(old) is not None:
            kept[key] = values[old]
    return kept


def required(value):
    """The text of what must not be missing: a type, an id, a status.

    :raises ValueError: for None, and whatever the value's own text raises
    """
    if value is None:
        raise ValueError('a value is missing')
    return str(value)


def is_id(text):
    """Whether the worker takes a text as a resource's id."""
    return _ID.match(text) is not None


def _name(value):
    # A thing without a name is still worth telling.
    try:
        return None if value is None else str(value)[:NAME_CHARS]
    except Exception:
        return None


def resource_update(type, resource_id, status, reason, sequence, source_id, name):
    """The arguments of `update_resource_status` but `restore_id`; what is unset is left out.

    :param name: a name without a text is left out too; the other texts are str
    """
    item = {'resource_type': type, 'resource_id': resource_id, 'status': status,
            'sequence': sequence}
    reason = None if reason is None else reason[:REASON_CHARS]
    for key, value in (('reason', reason), ('source_id', source_id), ('name', _name(name))):
        if value is not None and value != '':
            item[key] = value
    return item


def expected_resource(resource):
    """One item of `expect_resources`.

    :param resource: (type, source_id) or (type, source_id, name); a name without a text is left out
    :raises Exception: if it is something else, or a type or an id has no text
    """
    if isinstance(resource, (str, bytes, dict)):
        raise TypeError('neither (type, source_id) nor (type, source_id, name)')
    type, source_id, name = (tuple(resource) + (None,))[:3]
    item = {'resource_type': required(type), 'source_id': required(source_id)}
    name = _name(name)
    if name:
        item['name'] = name
    return item


def is_sure(item):
    """Whether the worker will surely accept an item, so that it cannot sink a list."""
    ids = [item[key] for key in ('resource_id', 'source_id') if key in item]
    return (_TYPE.match(item['resource_type']) is not None
            and all(is_id(one) for one in ids)
            # A raw status of another service may be an alias; the table is the worker's.
            and item.get('status', 'error').lower() in STATUSES)


def size(item):
    """Bytes that an item takes in a body: JSON text within JSON text."""
    return len(json.dumps(json.dumps(item))) + 2


def lists(items):
    """Splits items into lists that are sent whole, in order; one not surely good is alone in its list.

    :param items: iterable of dict
    """
    chunk, used = [], 0
    for item in items:
        sure, taken = is_sure(item), size(item)
        if chunk and (not sure or len(chunk) == LIST_ITEMS or used + taken > LIST_BYTES):
            yield chunk
            chunk, used = [], 0
        if not sure:
            yield [item]
            continue
        chunk.append(item)
        used += taken
    if chunk:
        yield chunk
