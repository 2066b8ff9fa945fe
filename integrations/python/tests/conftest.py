"""What all tests share."""

import os
import sys
import uuid

import pytest

# The package as it lies here, installed or not.
FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(FOLDER), FOLDER]

import wire as wires  # noqa: E402


@pytest.fixture(scope='session')
def server():
    made = wires.Server()
    yield made
    made.stop()


@pytest.fixture
def restore_id():
    return str(uuid.uuid4())


@pytest.fixture
def wire(server, restore_id):
    return wires.Wire(server, restore_id)
