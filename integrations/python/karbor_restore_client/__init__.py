"""Tells karbor-restore-worker how a restore is going, from any service that speaks oslo.messaging.

`RestoreReporter` is for a service or a plugin that restores resources; `karbor_hook` is for a Karbor
1.6.0 that is not changed. Both only cast: nobody is waited for, and nothing is raised into a caller.
"""

from karbor_restore_client.reporter import RestoreReporter

__all__ = ['RestoreReporter']
__version__ = '0.1.0'
