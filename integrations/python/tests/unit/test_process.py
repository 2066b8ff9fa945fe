"""Whole processes: a broker that is away, the end of a process, a fork, eventlet's green threads."""

import os
import re
import socket
import subprocess
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(program, *arguments):
    """Runs a program to its end and gives what it wrote."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(program)] + list(arguments),
        env=dict(os.environ, PYTHONPATH=ROOT + os.pathsep + os.path.join(ROOT, 'tests')),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_without_a_broker_nobody_waits_the_newest_are_kept_and_the_process_ends():
    with socket.socket() as bound:
        # Bound and not listening: whoever connects is refused.
        bound.bind(('127.0.0.1', 0))
        printed = run('''
            import logging, sys, uuid
            import oslo_messaging as messaging
            from oslo_config import cfg
            logging.basicConfig(level=logging.WARNING, format='%(name)s %(message)s')
            logging.getLogger('oslo').setLevel(logging.CRITICAL)
            from karbor_restore_client import RestoreReporter, sender
            cfg.CONF([], project='test', default_config_files=[])
            url = 'rabbit://guest:SECRET@127.0.0.1:%s/' % sys.argv[1]
            transport = messaging.get_rpc_transport(cfg.CONF, url=url)
            reporter = RestoreReporter(transport, str(uuid.uuid4()))
            for n in range(sender.QUEUE_MESSAGES + 5000):
                reporter.update('V', 'new-%d' % n, 'available')
            waiting = sender.sender_of(transport)._waiting
            print('newest', waiting[-1].arguments['resource_id'], len(waiting))
            print('closed', reporter.close(0.1))
            ''', str(bound.getsockname()[1]))
    assert 'newest new-14999 10000' in printed
    assert 'closed False' in printed
    assert 'messages on restores could not be sent' in printed
    # The first at once, the rest at the end: not a line for each.
    assert printed.count('could not be sent') <= 3
    # Each once, though `close` told of them before.
    told = [int(count) for count in re.findall(r'(\d+) messages on restores could not', printed)]
    assert sum(told) == 15000 and 'are not sent yet' in printed
    assert 'SECRET' not in printed


def test_what_was_said_last_is_sent_before_the_process_ends():
    printed = run('''
        import atexit, uuid
        # What is registered first is called last.
        atexit.register(lambda: print('left', sender.sender_of(transport).wait(0)))
        import oslo_messaging as messaging
        from oslo_config import cfg
        from karbor_restore_client import RestoreReporter, sender
        cfg.CONF([], project='test', default_config_files=[])
        transport = messaging.get_rpc_transport(cfg.CONF, url='fake://')
        reporter = RestoreReporter(transport, str(uuid.uuid4()))
        for n in range(5000):
            reporter.update('V', 'new-%d' % n, 'available')
        print('said', sender.sender_of(transport).wait(0) > 0)
        ''')
    assert 'said True' in printed
    assert 'left 0' in printed
    assert 'could not be sent' not in printed


def test_a_forked_child_sends_its_own_and_nothing_of_its_parents():
    printed = run('''
        import os, uuid
        import oslo_messaging as messaging
        from oslo_config import cfg
        from karbor_restore_client import RestoreReporter
        cfg.CONF([], project='test', default_config_files=[])
        transport = messaging.get_rpc_transport(cfg.CONF, url='fake://')
        reporter = RestoreReporter(transport, str(uuid.uuid4()))
        reporter.update('V', 'parent', 'available')
        assert reporter.close(60)
        reporter = RestoreReporter(transport, str(uuid.uuid4()))
        child = os.fork()
        if child == 0:
            reporter.update('V', 'child', 'available')
            os._exit(0 if reporter.close(60) else 1)
        print('child', os.waitpid(child, 0)[1])
        ''')
    assert 'child 0' in printed


def test_a_forked_child_does_not_wait_for_what_its_parent_was_about_to_send():
    printed = run('''
        import collections, os, threading, uuid
        from karbor_restore_client import RestoreReporter
        taken, forked = threading.Event(), threading.Event()

        class Waiting(collections.deque):
            def popleft(self):
                one = super().popleft()
                taken.set()
                forked.wait()
                return one

        transport = object()
        reporter = RestoreReporter(transport, str(uuid.uuid4()))
        reporter._sender._waiting = Waiting()
        reporter.update('V', 'parent', 'available')
        taken.wait()
        child = os.fork()
        if child == 0:
            os._exit(0 if reporter.close(1) else 1)
        forked.set()
        print('child', os.waitpid(child, 0)[1])
        ''')
    assert 'child 0' in printed


def test_a_forked_child_waits_for_no_lock_that_a_thread_of_its_parent_held():
    printed = run('''
        import forks
        import uuid
        import oslo_messaging as messaging
        from oslo_config import cfg
        from karbor_restore_client import RestoreReporter
        cfg.CONF([], project='test', default_config_files=[])
        transport = messaging.get_rpc_transport(cfg.CONF, url='fake://')

        def report(reporter):
            with reporter.track('V', 'old') as tracked:
                tracked.resource_id = 'new'
            reporter.update('V', 'another', 'available')
            reporter.expect(5)
            assert reporter.close(60)

        def make():
            return RestoreReporter(transport, str(uuid.uuid4()))

        def work():
            report(reporter)
            report(make())

        reporter = make()
        report(make())
        print('held', forks.while_held(work))
        report(reporter)
        ''')
    # Of the sequence, the senders, the sender's losses and queue, and each reporter.
    assert 'held 6' in printed


def test_green_threads_and_plain_ones_report():
    for patch in ('', 'eventlet.monkey_patch()'):
        printed = run('''
            import eventlet
            %s
            import uuid
            from wire import Server, Wire
            from karbor_restore_client import RestoreReporter
            server, restore_id = Server(), str(uuid.uuid4())
            wire = Wire(server, restore_id)
            reporter = RestoreReporter(wire.transport, restore_id, topic=wire.topic)

            def restore(n):
                with reporter.track('V', 'old-%%d' %% n) as tracked:
                    eventlet.sleep(0)
                    tracked.resource_id = 'new-%%d' %% n

            threads = [eventlet.spawn(restore, n) for n in range(100)]
            for thread in threads:
                thread.wait()
            assert reporter.close(60)
            updates = wire.updates(200)
            print('ended', len({one['resource_id'] for one in updates if one['status'] == 'available'}))
            server.stop()
            ''' % patch)
        assert 'ended 100' in printed
