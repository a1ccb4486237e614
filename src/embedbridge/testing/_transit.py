"""Faults of a good answer on its way: cut off, slow, compressed, padded, wrongly labelled."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import struct
import zlib

from .connection import Connection
from .faults import Fault, Faults

_CHUNK = 4096
_BLANK = b" " * 2**20
_GZIP_HEAD = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_ARRIVAL = 0.05
"""Seconds that bytes are given to arrive before the line is cut behind them."""


def silencer(faults: Faults) -> Fault | None:
    """The fault, if any, for which no byte of an answer is sent."""
    return next((fault for fault in faults if fault.name == "hang" or fault.args.get("at") == "start"), None)


async def stay_silent(connection: Connection, fault: Fault) -> bool:
    """End the connection without a word, at once or after a while."""
    if fault.name == "hang":
        await connection.pause(fault.number("s"))
    connection.drop(reset=fault.name == "reset")
    return False


async def send_answer(connection: Connection, headers: dict[str, str], body: bytes, faults: Faults) -> bool:
    """Send status 200 and the body, through every transit fault; True when the connection may carry another request."""
    for fault in faults:
        body = _reshape(body, fault)
        headers = headers | _relabel(fault)
    for fault in faults:
        if fault.name in ("reset", "close"):
            return await _cut(connection, headers, body, fault)
        if fault.name in ("drip", "stall"):
            return await _slow(connection, headers, body, fault)
        if fault.name == "nolength":
            await connection.send(200, headers | {"connection": "close"}, body, length=False)
            return False
        if fault.name == "chunked":
            return await _chunked(connection, headers, body, fault)
        if fault.name in ("huge", "gziptail"):
            return await _padded(connection, headers, body, fault)
    connection.stale = faults.get("stale") is not None
    await connection.send(200, headers, body, times=1 if faults.get("twice") is None else 2)
    return faults.get("closeafter") is None


def _reshape(body: bytes, fault: Fault) -> bytes:
    match fault.name:
        case "badutf8":
            return body[:-1] + b',"note":"\xff\xfe"}'
        case "truncate":
            return body[: int(len(body) * fault.number("at"))]
        case "gzip" | "gziptail":
            return gzip.compress(body)
        case "gzipbomb":
            return _bomb(body, int(fault.number("mb")))
    return body


def _bomb(body: bytes, blocks: int) -> bytes:
    """Gzip of `blocks` MiB of spaces and the body; one flushed block is repeated, so it costs next to nothing here."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(_BLANK) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for part in (*itertools.repeat(_BLANK, blocks), body):
        checksum = zlib.crc32(part, checksum)
    size = (blocks * len(_BLANK) + len(body)) % 2**32
    return _GZIP_HEAD + block * blocks + packer.compress(body) + packer.flush() + struct.pack("<II", checksum, size)


def _relabel(fault: Fault) -> dict[str, str]:
    if fault.name in ("gzip", "badgzip", "gzipbomb", "gziptail"):
        return {"content-encoding": "gzip"}
    return {"content-type": fault.args["type"]} if fault.name == "ctype" else {}


async def _cut(connection: Connection, headers: dict[str, str], body: bytes, fault: Fault) -> bool:
    size = {"headers": 0, "mid": len(body) // 2, "end": len(body)}[fault.args["at"]]
    await connection.send(200, headers | {"content-length": str(len(body))}, body[:size], length=False)
    await asyncio.sleep(_ARRIVAL)
    connection.drop(reset=fault.name == "reset")
    return False


async def _slow(connection: Connection, headers: dict[str, str], body: bytes, fault: Fault) -> bool:
    await connection.send(200, headers | {"content-length": str(len(body))}, length=False)
    if fault.name == "stall":
        part = int(len(body) * fault.number("at"))
        await connection.write(body[:part])
        await connection.pause(fault.number("s"))
        await connection.write(body[part:])
        return True
    step = int(fault.number("bytes"))
    await connection.write(body[:step])
    for start in range(step, len(body), step):
        await connection.pause(fault.number("s"))
        await connection.write(body[start : start + step])
    return True


async def _chunked(connection: Connection, headers: dict[str, str], body: bytes, fault: Fault) -> bool:
    await connection.send(200, headers | {"transfer-encoding": "chunked"}, length=False)
    for start in range(0, len(body), _CHUNK):
        piece = body[start : start + _CHUNK]
        await connection.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    if fault.args["cut"]:
        return False
    await connection.write(b"0\r\n\r\n")
    return True


async def _padded(connection: Connection, headers: dict[str, str], body: bytes, fault: Fault) -> bool:
    blocks = int(fault.number("mb"))
    before, after = (body[:-1] + b',"pad":"', b'"}') if fault.name == "huge" else (body, b"")
    size = len(before) + blocks * len(_BLANK) + len(after)
    await connection.send(200, headers | {"content-length": str(size)}, before, length=False)
    for _ in range(blocks):
        await connection.write(_BLANK)
    await connection.write(after)
    return True
