"""A fork within the process that the hook is installed in."""

import os
import subprocess
import sys
import textwrap

import documents

PATHS = [os.path.join(documents.ROOT, *folders) for folders in (
    ('integrations', 'python'), ('integrations', 'python', 'tests'), ('tests', 'python'))]
PROGRAM = '''
    import forks
    import karbor_side
    from karbor_restore_client import karbor_hook

    def work():
        flows.of(known)
        flows.of(karbor_side.new_restore())
        karbor_hook.uninstall()

    karbor_side.connect('fake://', 'openstack')
    karbor_hook.install()
    flows = karbor_hook._installed._flows
    known = karbor_side.new_restore()
    flows.of(known)
    print('held', forks.while_held(work))
    '''


def test_a_forked_child_waits_for_no_lock_of_the_hooks():
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(PROGRAM)],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(PATHS)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    # Of the hook and its flows, the sequence, the senders, a sender's losses and queue, a reporter.
    assert 'held 7' in done.stdout
