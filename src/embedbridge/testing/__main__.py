"""The fault server from a shell: `python -m embedbridge.testing --port 8099`, then `GET /_control/stats`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import textwrap
import threading

from . import FAULTS, QUIRKS, FaultServer, Latency, RateLimit

DESCRIPTION = """\
The APIs of OpenAI, Azure, Voyage, Bedrock, Cohere, Jina, Mistral, NVIDIA,
Ollama and TEI on this machine, with made-up vectors: one text, one vector.
Four bytes count as a token. GET /_control/stats tells what was asked for."""
EPILOG = """\
Take /v1 as the base URL for OpenAI, /voyage/v1 for Voyage (/jina/v1,
/mistral/v1 and /nvidia/v1 alike), /tei for TEI, none for the others.
A fault is put into a request by its header x-fault, by base URLs such as
/~429/v1, or, for the next requests, by POST /_control/script of ["429", "ok"].

faults:
"""


def main() -> None:
    """Serve until interrupted. A port that is taken ends it with one line."""
    told = (textwrap.wrap(kind.what, 64, break_long_words=False) for kind in FAULTS.values())
    faults = "\n".join(f"  {name:12} " + f"\n{'':15}".join(lines) for name, lines in zip(FAULTS, told, strict=True))
    quirks = textwrap.fill(f"quirks: {', '.join(QUIRKS)}", 78)
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m embedbridge.testing",
        description=DESCRIPTION,
        epilog=f"{EPILOG}{faults}\n\n{quirks}",
        formatter_class=shape,
    )
    parser.add_argument("--port", metavar="N", type=int, default=8099, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--rpm", metavar="N", type=float, help="requests per minute")
    parser.add_argument("--tpm", metavar="N", type=float, help="tokens per minute")
    parser.add_argument("--latency", metavar="S", type=float, default=0.0, help="seconds per request")
    parser.add_argument("--latency-per-token", metavar="S", type=float, default=0.0, help="seconds per token")
    parser.add_argument(
        "--width",
        metavar="N",
        type=int,
        help="numbers in every vector (default: as the real model has, where it is known)",
    )
    parser.add_argument("--key", action="append", help="accept only this API key (may be given again)")
    parser.add_argument("--quirk", metavar="NAME", action="append", choices=QUIRKS, help="speak as this server")
    parser.add_argument("--tls", action="store_true", help="serve https, self-signed")
    args = parser.parse_args()
    rate = RateLimit(args.rpm, args.tpm) if args.rpm or args.tpm else None
    latency = Latency(base=args.latency, per_token=args.latency_per_token)
    server = FaultServer(
        port=args.port,
        tls=args.tls,
        rate=rate,
        latency=latency,
        width=args.width,
        api_keys=args.key,
        quirks=args.quirk or (),
    )
    try:
        with server, contextlib.suppress(KeyboardInterrupt):
            print(f"fault server on {server.url}", flush=True)  # noqa: T201 - what a shell waits for
            print(f"base_url: {server.url}/v1 for OpenAI and Voyage, {server.url} for Cohere and Ollama", flush=True)  # noqa: T201
            threading.Event().wait()
    except OSError as error:
        sys.exit(f"port {args.port} cannot be served on ({error.strerror}); --port 0 takes a free one")


if __name__ == "__main__":
    main()
