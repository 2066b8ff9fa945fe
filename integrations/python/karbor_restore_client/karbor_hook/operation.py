"""One plugin's operation on one resource: its start, its end, its failure.

An operation has up to four hooks (`karbor.services.protection.resource_flow.HOOKS`), each a task of
its own. Those that a plugin inherits do nothing; so it starts with the first hook of the plugin's own
and ends with the last: Cinder's volumes in `on_main`, Nova's servers in `on_complete`.
"""

import functools
import inspect

from karbor.services.protection import protection_plugin
from karbor.services.protection import resource_flow

from karbor_restore_client import attempt
from karbor_restore_client.karbor_hook import binding
from karbor_restore_client.karbor_hook.flows import quiet


def hooks(flows, operation_obj, resource):
    """The hooks of an operation, the plugin's own ones wrapped.

    :param flows: Flows
    :param operation_obj: what a plugin's `get_restore_operation` gave
    :param resource: Karbor's Resource
    :returns: dict from a hook's name to a callable; None if they cannot be wrapped
    """
    try:
        found = {name: getattr(operation_obj, name) for name in resource_flow.HOOKS
                 if hasattr(operation_obj, name)}
        found.setdefault(resource_flow.HOOK_COMPLETE, resource_flow.noop_handle)
        own = [name for name in resource_flow.HOOKS if name in found and not _inherited(found[name])]
        operation = Operation(flows, resource, own or [resource_flow.HOOK_COMPLETE])
        for name in operation.own:
            found[name] = operation.wrap(name, found[name])
        return found
    except Exception:
        return None


def _inherited(method):
    function = getattr(method, '__func__', None)
    return function is not None and function in vars(protection_plugin.Operation).values()


class Operation(object):
    """Reports an operation through the flow that its hooks are called with.

    :param own: names of the plugin's own hooks, in their order
    """

    def __init__(self, flows, resource, own):
        self.own = own
        self.restore_id = None
        self._flows = flows
        self._resource = resource
        self._flow = None
        self._track = None

    def wrap(self, name, method):
        """A hook that reports; taskflow sees the signature of the plugin's own."""
        @functools.wraps(method)
        def hook(*args, **kwargs):
            if not self._flows.are_open or kwargs.get('restore') is None:
                return method(*args, **kwargs)
            kwargs = self._enter(kwargs) or kwargs
            token = binding.running.set(self)
            try:
                result = method(*args, **kwargs)
            except BaseException as error:
                self._failed(error, kwargs)
                raise
            finally:
                binding.running.reset(token)
            if name == self.own[-1]:
                self._ended(kwargs)
            return result

        hook.__signature__ = inspect.signature(method)
        return hook

    def said(self, resource_type, resource_id, status, reason):
        """The plugin said something.

        :returns: bool, whether it was of a resource that this operation makes
        """
        if self._track is None or resource_type != self._resource.type:
            return False
        self._track.say(resource_id, status, reason)
        return True

    def fail(self, text):
        """Ends it with an error, if it has begun and not ended."""
        if self._leave():
            self._track.fail(text)

    @quiet
    def _enter(self, kwargs):
        restore = kwargs['restore']
        if self._track is None:
            self._flow = self._flows.of(restore, kwargs.get('context'))
            self.restore_id = restore.id
            self._track = self._flow.reporter.track(self._resource.type, self._resource.id,
                                                    name=self._resource.name)
            self._flow.operations.add(self)
            self._track.start()
        return dict(kwargs, restore=binding.view(restore, self))

    @quiet
    def _ended(self, kwargs):
        if self._flows.are_open and self._leave():
            self._learn(kwargs)
            self._track.succeed()

    @quiet
    def _failed(self, error, kwargs):
        if self._flows.are_open and self._leave():
            self._flows.failed(self._flow, self._resource, error)
            self._learn(kwargs)
            self._track.fail(attempt.text_of(error))

    def _leave(self):
        if self._flow is None or self not in self._flow.operations:
            return False
        self._flow.operations.discard(self)
        return True

    def _learn(self, kwargs):
        """Takes the new id from what operations leave for those that depend on them."""
        new_resources = kwargs.get('new_resources') or {}
        new_id = new_resources.get(self._resource.id)
        if isinstance(new_id, str):
            self._track.resource_id = new_id
