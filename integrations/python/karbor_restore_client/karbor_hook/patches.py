"""The four places of Karbor 1.6.0 that are wrapped, and how they are given back.

    flows.restore.get_flow           a flow is made: the resources of its checkpoint are announced
    _create_hook_tasks of the walker a resource's hooks become tasks: they are wrapped
    Restore.update_resource_status   a plugin speaks: it is passed on, tied to its source
    Restore.save                     the flow saves a status: it is passed on
"""

import functools
import types

from karbor.common import constants
from karbor.objects import restore as restore_object
from karbor.services.protection import resource_flow
from karbor.services.protection.flows import restore as restore_flow

from karbor_restore_client.karbor_hook import flows
from karbor_restore_client.karbor_hook import operation


class Patches(object):
    """Wraps Karbor's code while it is applied.

    :param transport: see `install`
    :param topic: see `install`
    """

    def __init__(self, transport, topic):
        self._flows = flows.Flows(transport, topic)
        self._applied = []

    def apply(self):
        """Wraps all four places, or none.

        :raises AttributeError: if one of them is not there
        """
        walker = resource_flow.ResourceFlowGraphWalkerListener
        restore = restore_object.Restore
        wrapped = [(owner, name, wrap(vars(owner).get(name) or getattr(owner, name)))
                   for owner, name, wrap in (
                       (restore_flow, 'get_flow', self._wrap_get_flow),
                       (walker, '_create_hook_tasks', self._wrap_create_hook_tasks),
                       (restore, 'update_resource_status', self._wrap_update_resource_status),
                       (restore, 'save', self._wrap_save))]
        for owner, name, wrapper in wrapped:
            own = vars(owner).get(name)
            setattr(owner, name, wrapper)
            self._applied.append((owner, name, wrapper, own))

    def remove(self):
        """Puts back what was there. Where somebody wrapped our wrapper, it stays and does nothing."""
        self._flows.close()
        for owner, name, wrapper, own in self._applied:
            if vars(owner).get(name) is not wrapper:
                continue
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
        self._applied = []

    def _wrap_get_flow(self, get_flow):
        @functools.wraps(get_flow)
        def wrapper(context, workflow_engine, checkpoint, provider, restore, *args, **kwargs):
            flow = get_flow(context, workflow_engine, checkpoint, provider, restore,
                            *args, **kwargs)
            self._flows.begin(restore, context, checkpoint)
            return flow
        return wrapper

    def _wrap_create_hook_tasks(self, create_hook_tasks):
        @functools.wraps(create_hook_tasks)
        def wrapper(walker, operation_obj, resource):
            if walker.operation_type == constants.OPERATION_RESTORE and self._flows.are_open:
                hooked = operation.hooks(self._flows, operation_obj, resource)
                if hooked is not None:
                    operation_obj = types.SimpleNamespace(**hooked)
            return create_hook_tasks(walker, operation_obj, resource)
        return wrapper

    def _wrap_update_resource_status(self, update_resource_status):
        @functools.wraps(update_resource_status)
        def wrapper(restore, resource_type, resource_id, status, reason=None):
            result = update_resource_status(restore, resource_type, resource_id, status, reason)
            self._flows.said(restore, resource_type, resource_id, status, reason)
            return result
        return wrapper

    def _wrap_save(self, save):
        @functools.wraps(save)
        def wrapper(restore, *args, **kwargs):
            status = self._flows.changed_status(restore)
            result = save(restore, *args, **kwargs)
            if status is not None:
                self._flows.saved(restore, status)
            return result
        return wrapper
