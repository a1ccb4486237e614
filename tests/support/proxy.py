"""A small forward proxy: tunnels for https, absolute addresses for http, and credentials if it wants them."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlsplit


class ForwardProxy:
    """Runs in a `with` block. `asked` has the first line of every request, `url` its address with the credentials.

    Args:
        credentials: `user:password` that it insists on.
        hosts: names that it resolves to this machine, because no test may ask a name server.
        refusals: what it answers to the first requests itself.
    """

    def __init__(self, credentials: str = "", hosts: tuple[str, ...] = (), refusals: Iterable[bytes] = ()) -> None:
        self.asked: list[str] = []
        self._credentials, self._hosts, self._refusals = credentials, hosts, iter(refusals)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{credentials}@{self.address}" if credentials else f"http://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (more := client.recv(65536)):
                head += more
            if not head:
                return
            line, _, rest = head.partition(b"\r\n")
            self.asked.append(line.decode())
            wanted = b"Basic " + base64.b64encode(self._credentials.encode())
            if self._credentials and wanted not in head:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                return
            if (refusal := next(self._refusals, None)) is not None:
                client.sendall(refusal)
                return
            method, target, version = line.split()
            tunnel = method == b"CONNECT"
            place = urlsplit(b"//" + target if tunnel else target)
            host = place.hostname.decode()
            with socket.create_connection(("127.0.0.1" if host in self._hosts else host, place.port or 80)) as server:
                if tunnel:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    path = place._replace(scheme=b"", netloc=b"").geturl()
                    server.sendall(b" ".join((method, path, version)) + b"\r\n" + rest)
                back = threading.Thread(target=_relay, args=(server, client), daemon=True)
                back.start()
                _relay(client, server)
                back.join()


def _relay(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
