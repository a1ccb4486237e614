"""A socket that bounds the time of a whole answer: a timeout for each piece alone never passes when pieces drip."""

from __future__ import annotations

import socket
import time
from typing import Any


class BoundedSocket:
    """A connected socket. From the first byte of a command to the last of its answer no more than `seconds` pass.

    Methods raise TimeoutError, as a socket's do.
    """

    def __init__(self, connected: socket.socket, seconds: float) -> None:
        self._socket = connected
        self._seconds = seconds
        self._sending = False
        self._end = float("inf")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendall(self, data: bytes) -> None:
        """Send a command, or the next part of one."""
        if not self._sending:
            self._sending, self._end = True, time.monotonic() + self._seconds
        self._in_time()
        self._socket.sendall(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """A piece of the answer; with flags, a look at it."""
        if not flags:
            self._in_time()
            self._sending = False
        return self._socket.recv(size, flags)

    def recv_into(self, buffer: bytearray) -> int:
        """A piece of the answer; hiredis reads so."""
        self._in_time()
        self._sending = False
        return self._socket.recv_into(buffer)

    def _in_time(self) -> None:
        # A socket that does not wait is redis-py's check of an idle connection, and reads no answer.
        if time.monotonic() > self._end and self._socket.gettimeout() != 0:
            raise TimeoutError(f"the answer was not whole after {self._seconds} seconds")
