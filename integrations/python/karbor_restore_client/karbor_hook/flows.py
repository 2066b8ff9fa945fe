"""The restores that this process works on: a reporter each, and the operations under way.

Everything here is called from Karbor's threads: it raises nothing and waits for nothing.
"""

import collections
import functools
import logging

from karbor import rpc

from karbor_restore_client import attempt
from karbor_restore_client import locks
from karbor_restore_client import message
from karbor_restore_client import reporter
from karbor_restore_client.karbor_hook import binding

LOG = logging.getLogger(__name__)
# Restores that end leave at once; this bounds those that never do.
KEPT = 1000
ENDED_ELSEWHERE = 'the restore failed before this operation ended'


def quiet(method):
    """A report must never fail a restore. An error's text may hold secrets: its class is logged."""
    @functools.wraps(method)
    def report(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            LOG.warning('A restore could not be reported: %s', type(error).__name__)
    return report


class Flow(object):
    """One restore's reporter, its operations under way, and what failed first."""

    def __init__(self, restore_reporter):
        self.reporter = restore_reporter
        self.operations = set()
        self.first_failure = None


class Flows(object):
    """Finds the flow of a restore by its id.

    :param transport: see `karbor_hook.install`
    :param topic: str
    """

    def __init__(self, transport, topic):
        self.are_open = True
        self._transport = transport
        self._topic = topic
        self._flows = collections.OrderedDict()
        self._lock = locks.Lock()

    def close(self):
        """Reports nothing any more; what was said is still sent."""
        self.are_open = False

    def of(self, restore, context=None):
        """The flow of a restore; made if there is none.

        :param restore: Karbor's Restore
        :param context: the request's context; the restore's own if None
        """
        with self._lock:
            flow = self._flows.get(restore.id)
            if flow is None:
                flow = self._flows[restore.id] = Flow(self._reporter(restore, context))
                if len(self._flows) > KEPT:
                    self._flows.popitem(last=False)
            return flow

    def _reporter(self, restore, context):
        # In Karbor a restore's work may be done with another project's admin context.
        context = message.context_of(context or restore._context)
        context['project_id'] = restore.project_id
        transport = rpc.TRANSPORT if self._transport is None else self._transport
        return reporter.RestoreReporter(transport, restore.id, context, self._topic)

    @quiet
    def begin(self, restore, context, checkpoint):
        """A flow was made: announces what it is to restore."""
        if self.are_open:
            resources = _resources(checkpoint.resource_graph or ())
            self.of(restore, context).reporter.expect(resources)

    @quiet
    def said(self, restore, resource_type, resource_id, status, reason):
        """A plugin said something through the Restore object."""
        if self.are_open:
            operation = binding.operation_of(restore)
            if operation is None or not operation.said(resource_type, resource_id, status, reason):
                self.of(restore).reporter.update(resource_type, resource_id, status, reason)

    @quiet
    def changed_status(self, restore):
        """The status that a save is about to write, or None."""
        if self.are_open and 'status' in restore.obj_what_changed():
            return restore.status
        return None

    @quiet
    def saved(self, restore, status):
        """A status was saved."""
        flow = self.of(restore)
        reason = None
        if status == 'fail':
            reason = flow.first_failure
            for operation in list(flow.operations):
                operation.fail(ENDED_ELSEWHERE)
        flow.reporter.finish(status, reason)
        if status in ('fail', 'success'):
            with self._lock:
                self._flows.pop(restore.id, None)

    @quiet
    def failed(self, flow, resource, error):
        """An operation failed; the first one is why the restore fails."""
        if flow.first_failure is None:
            flow.first_failure = '%s %s: %s' % (resource.type, resource.id, attempt.text_of(error))


def _resources(graph):
    found = {}
    nodes = list(graph)
    while nodes:
        node = nodes.pop()
        resource = node.value
        if (resource.type, resource.id) not in found:
            found[resource.type, resource.id] = (resource.type, resource.id, resource.name)
            nodes.extend(node.child_nodes)
    return list(found.values())
