"""A fork at the worst moment: another thread holds every lock that the package made.

To be imported before the package is.
"""

import contextlib
import faulthandler
import os
import sys
import threading

# A wait for what must come; a child that reaches it hangs.
PATIENCE_S = 30

_made = []


def _recording(make):
    def record():
        lock = make()
        # The second frame is for the lock that a Condition makes.
        callers = (sys._getframe(1), sys._getframe(1).f_back)
        if any(one.f_globals.get('__name__', '').startswith('karbor_restore_client')
               for one in callers):
            _made.append(lock)
        return lock
    return record


threading.Lock = _recording(threading.Lock)
threading.RLock = _recording(threading.RLock)


def while_held(work):
    """Forks and has the child do its work, while another thread of the parent holds all locks.

    :param work: callable
    :returns: int, how many locks were held
    """
    held, forked = threading.Event(), threading.Event()

    def hold():
        with contextlib.ExitStack() as stack:
            for lock in _made:
                stack.enter_context(lock)
            held.set()
            forked.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    return len(_made)
