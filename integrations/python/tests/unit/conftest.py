"""A reporter on the wire within the process."""

import pytest

from karbor_restore_client import RestoreReporter


@pytest.fixture
def reporter(wire, restore_id):
    made = RestoreReporter(wire.transport, restore_id, {'project_id': 'p1'}, topic=wire.topic)
    yield made
    made.close(10)
