"""Ties what is said through a Restore object to the operation that says it.

All operations of a flow share one Restore object, and a plugin may speak from a thread of its own. So
each operation is handed its own view of it: same state, same class but for one slot with the
operation. What speaks through an object of its own is found by the operation that runs around it.
"""

import contextvars

# Each thread and each greenlet has its own value.
running = contextvars.ContextVar('karbor_restore_operation', default=None)

_SLOT = '_karbor_restore_operation'
_views = {}


def view(restore, operation):
    """A Restore that shares the state of another and knows its operation.

    :param restore: Karbor's Restore, or a view of it
    :param operation: Operation
    """
    base = type(restore)
    if hasattr(base, _SLOT):
        base = base.__mro__[1]
    bound = object.__new__(_view_class(base))
    bound.__dict__ = restore.__dict__
    setattr(bound, _SLOT, operation)
    return bound


def operation_of(restore):
    """The operation that speaks through this Restore, or None."""
    operation = getattr(restore, _SLOT, None)
    if operation is None:
        operation = running.get()
        if operation is not None and operation.restore_id != restore.id:
            return None
    return operation


def _view_class(base):
    if base not in _views:
        def reduce(self, protocol):
            # Pickled and copied as what it is a view of.
            plain = object.__new__(base)
            plain.__dict__ = self.__dict__
            return plain.__reduce_ex__(protocol)

        # Karbor's serializer sends the class's name.
        _views[base] = type(base)(base.__name__, (base,), {
            '__slots__': (_SLOT,), '__module__': base.__module__, '__reduce_ex__': reduce})
    return _views[base]
