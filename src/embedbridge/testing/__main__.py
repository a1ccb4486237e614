"""The fault server from a shell: `python -m embedbridge.testing --port 8099`, then `GET /_control/stats`."""

from __future__ import annotations

import argparse
import contextlib
import threading

from . import FAULTS, FaultServer, Latency, RateLimit


def main() -> None:
    """Serve until interrupted."""
    faults = "\n".join(f"  {name:12} {kind.what}" for name, kind in FAULTS.items())
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m embedbridge.testing", epilog=f"faults:\n{faults}", formatter_class=shape
    )
    parser.add_argument("--port", type=int, default=8099, help="0 takes a free one")
    parser.add_argument("--rpm", type=float, help="requests a minute")
    parser.add_argument("--tpm", type=float, help="tokens a minute")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a request")
    parser.add_argument("--latency-per-token", type=float, default=0.0, help="seconds a token")
    parser.add_argument("--width", type=int, help="numbers in a vector")
    parser.add_argument("--key", action="append", help="accept only this API key (may be given again)")
    parser.add_argument("--tls", action="store_true", help="serve https, self-signed")
    args = parser.parse_args()
    rate = RateLimit(args.rpm, args.tpm) if args.rpm or args.tpm else None
    latency = Latency(base=args.latency, per_token=args.latency_per_token)
    server = FaultServer(port=args.port, tls=args.tls, rate=rate, latency=latency, width=args.width, api_keys=args.key)
    with server, contextlib.suppress(KeyboardInterrupt):
        print(f"fault server on {server.url}", flush=True)  # noqa: T201 - what a shell waits for
        threading.Event().wait()


if __name__ == "__main__":
    main()
