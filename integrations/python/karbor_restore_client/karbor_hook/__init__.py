"""Reports what the restore flow of an unmodified Karbor 1.6.0 does. Two lines in an operator's hands:

    from karbor_restore_client import karbor_hook
    karbor_hook.install()

in the process of `karbor-protection`, after `karbor.cmd.protection` was imported (it patches the
process for eventlet first) and before its `main()` runs. Karbor is imported by `install` only.
"""

from karbor_restore_client import locks
from karbor_restore_client.reporter import TOPIC

_lock = locks.Lock()
_installed = None


def install(transport=None, topic=TOPIC):
    """Hooks Karbor's restore flow in this process; a second time does nothing.

    :param transport: an oslo.messaging RPC transport; None is Karbor's own, once Karbor has it
    :param topic: str, the worker's topic
    :raises ImportError: where there is no Karbor
    :raises AttributeError: where Karbor's flow is not that of 1.6.0; nothing was changed then
    """
    global _installed
    from karbor_restore_client.karbor_hook import patches
    with _lock:
        if _installed is None:
            _installed = patches.Patches(transport, topic)
            try:
                _installed.apply()
            except Exception:
                _installed = None
                raise


def uninstall():
    """Gives Karbor its own code back; flows that run go on and are no longer reported."""
    global _installed
    with _lock:
        if _installed is not None:
            _installed.remove()
            _installed = None
