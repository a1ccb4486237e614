"""A self-signed certificate for 127.0.0.1 and localhost, made with the `openssl` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path


class Certificate:
    """Makes key and certificate at construction; RuntimeError where the `openssl` command is missing."""

    def __init__(self) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            raise RuntimeError("a TLS test server needs the openssl command")
        self._folder = Path(tempfile.mkdtemp(prefix="embedbridge-tls-"))
        self._key, self.path = str(self._folder / "key.pem"), str(self._folder / "certificate.pem")
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        command = [openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-days", "2", "-subj", "/CN=localhost", "-addext", names, "-keyout", self._key, "-out", self.path]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a fixed command

    def context(self) -> ssl.SSLContext:
        """A server's TLS settings."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self._folder, ignore_errors=True)
