"""Fixtures for tests that open files of an attacker."""

import os
import resource
import socket
from itertools import count

import pytest
from hostile import SECRET

from minitx.errors import UserError

MOST_MEMORY = 600  # MB that opening a file may add


class Guard:
    """A machine with a secret and a precious file, which notices what an attack does."""

    def __init__(self, folder):
        self.sprung = folder / "sprung"  # made by the attacker's code
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "precious").write_text("years of work")
        self.connections = []

    def refuse(self, *address):
        self.connections.append(address)
        raise OSError("no network in this test")

    def check(self):
        assert not self.sprung.exists(), "code was executed"
        assert not self.connections, f"connections were made: {self.connections}"
        assert os.listdir(self.elsewhere) == ["precious"], "a file was written elsewhere"
        assert (self.elsewhere / "precious").read_text() == "years of work"


@pytest.fixture
def guard(tmp_path, monkeypatch):
    guard = Guard(tmp_path)
    monkeypatch.setenv("MINITX_SECRET", SECRET)
    monkeypatch.setattr(socket.socket, "connect", guard.refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", guard.refuse)
    monkeypatch.setattr(socket, "getaddrinfo", guard.refuse)
    return guard


@pytest.fixture
def attack(guard, trials):
    """Makes one trial of a row: `function` refuses in one line, or returns what is `harmless`.

    The fast part makes every fourth of them.
    """
    numbers = count()
    every = 1 if trials(fast=0, full=1) else 4

    def attack(row, name, function, *arguments, harmless=None):
        if next(numbers) % every:
            return
        with row.trial(name):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            message = None
            try:
                found = function(*arguments)
            except UserError as error:
                message = str(error)
            if message is None:
                assert harmless is not None, "it was opened"
                assert harmless(found), "what was opened is not harmless"
            else:
                assert "\n" not in message, "more than one line"
                assert len(message) < 1500, "a long line"
                assert SECRET not in message
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            assert grown < MOST_MEMORY, f"{grown:.0f} MB were taken"
            guard.check()

    return attack
