"""Tests meet nothing of the machine they run on."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from support import isolation


@pytest.fixture
def attempts():
    """What the guard has seen; forgotten afterwards, since here it is meant to see something."""
    yield isolation._attempts
    isolation._attempts.clear()


def test_no_other_machine_can_be_reached(attempts):
    with socket.socket() as line, pytest.raises(isolation.NetworkUsedError):
        line.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as line, pytest.raises(isolation.NetworkUsedError):
        line.sendto(b"", ("192.0.2.1", 53))
    with pytest.raises(isolation.NetworkUsedError):
        asyncio.run(asyncio.open_connection("192.0.2.1", 80))
    assert attempts == ["192.0.2.1"] * 3


def test_no_name_is_looked_up(attempts):
    with pytest.raises(isolation.NetworkUsedError):
        socket.create_connection(("example.org", 80))
    assert attempts == ["example.org"]


def test_loopback_is_free(server):
    for host in ("127.0.0.1", "localhost"):
        socket.create_connection((host, server.port)).close()


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "CO_API_KEY", "https_proxy"])
def test_keys_and_addresses_of_the_environment_are_forgotten(monkeypatch, name):
    monkeypatch.setenv(name, "secret")
    isolation.clean_environment()
    assert name not in os.environ


@pytest.mark.parametrize("_", [1, 2])
def test_every_test_has_a_cache_directory_of_its_own(_, tmp_path):
    place = Path(os.environ["EMBEDBRIDGE_CACHE_DIR"])
    assert tmp_path.parent in place.parents
    assert not place.exists()
    place.mkdir(parents=True)  # the other test must not find it
