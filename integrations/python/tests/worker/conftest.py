"""One worker for all tests here, and restores that it knows."""

import os

import pytest
import workers


@pytest.fixture(scope='session')
def worker(tmp_path_factory):
    # Each process listens on a loopback address of its own, so no two runs meet on a port.
    number = os.getpid()
    address = '127.%d.%d.%d:18798' % (64 + number // 62500 % 64, number // 250 % 250, 1 + number % 250)
    made = workers.Worker(tmp_path_factory.mktemp('worker'), address)
    yield made
    made.stop()


@pytest.fixture
def recorded(worker, restore_id):
    worker.record(restore_id)
    return restore_id
