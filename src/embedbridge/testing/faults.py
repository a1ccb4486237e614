"""The names of all faults, what each does, and how a line of text asks for them.

A spec is `name[:key=value[;key=value]…]`, several joined by `+`: `"drop:n=2;where=start+shuffle"`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAULTS", "Fault", "Faults", "Kind", "parse_faults"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does, and its arguments with their defaults; None: any argument is taken."""

    what: str
    defaults: Mapping[str, str] | None


def _kind(what: str, **defaults: str) -> Kind:
    return Kind(what, defaults)


FAULTS: Mapping[str, Kind] = {
    "ok": _kind("no fault; holds a place in a script"),
    # Answered before any work is done; nothing is billed.
    "<status>": Kind(
        "that status, 100-599, in the API's own shape (message, code, type, retry-after, date=1, x-…)", None
    ),
    "quota": _kind("429 whose code is insufficient_quota: waiting does not help"),
    "html": _kind("an HTML page; status=200 is a captive portal", status="502"),
    "error200": _kind("status 200 whose JSON is an error object"),
    "body": _kind("this status, and a JSON body in URL-safe base64: an error of any shape", status="200", json=""),
    "redirect": _kind("a redirect; to=URL, back here when empty", status="307", to=""),
    "hang": _kind("nothing for s seconds, then the connection is closed", s="3600"),
    # Lost on the way; at=start happens before any work, otherwise the work was done and billed.
    "reset": _kind("a TCP reset at start, headers, mid or end", at="start"),
    "close": _kind("an orderly close at start, headers or mid", at="start"),
    "truncate": _kind("the JSON cut to a share of itself and declared complete", at="0.5"),
    "drip": _kind("the answer in small pieces, one every s seconds", bytes="64", s="0.05"),
    "stall": _kind("a share of the answer, a pause of s seconds, the rest", at="0.5", s="3600"),
    "gzip": _kind("a sound gzip answer"),
    "badgzip": _kind("content-encoding gzip over bytes that are not gzip"),
    "gzipbomb": _kind("a small gzip answer that unpacks to mb MiB of spaces before the JSON", mb="256"),
    "gziptail": _kind("a sound gzip answer, then mb MiB of noise that belong to no answer", mb="64"),
    "huge": _kind("mb MiB of padding inside the JSON", mb="64"),
    "badutf8": _kind("invalid UTF-8 inside the JSON"),
    "nolength": _kind("no content-length; the answer ends with the connection"),
    "chunked": _kind("chunked transfer encoding; cut=1 leaves the last chunk out", cut=""),
    "ctype": _kind("a wrong content type", type="text/plain"),
    "header": Kind("these headers on the answer, whatever it is (any key=value)", None),
    "closeafter": _kind("a sound answer, then the idle connection is closed"),
    "twice": _kind("a sound answer, and once more the same: the next request on the connection finds it waiting"),
    "stale": _kind("a sound answer; the next request on the connection meets a reset and is not counted"),
    # Status 200, transport sound, content wrong; billed.
    "drop": _kind("n vectors missing at the start, middle or end", n="1", where="end"),
    "extra": _kind("n vectors too many", n="1"),
    "empty": _kind("an empty list of vectors"),
    "shuffle": _kind("vectors in another order, index fields honest"),
    "shufflelie": _kind("vectors in another order, index fields 0..n-1; no client can see it"),
    "dupindex": _kind("two entries with the same index"),
    "noindex": _kind("index fields left out"),
    "omitindex": _kind("index fields but for the one of vector i", i="0"),
    "oneindex": _kind("index fields that begin with 1"),
    "nan": _kind("NaN in vector i", i="0"),
    "inf": _kind("Infinity in vector i", i="0"),
    "null": _kind("null in place of vector i", i="0"),
    "nullvalue": _kind("null inside vector i", i="0"),
    "string": _kind("a string inside vector i", i="0"),
    "zero": _kind("vector i all zero", i="0"),
    "dims": _kind("every vector cut to n numbers", n="8"),
    "ragged": _kind("vector i cut to n numbers", i="0", n="8"),
    "emptyvec": _kind("vector i without numbers", i="0"),
    "othermodel": _kind("another model's name in the answer", name="some-other-model"),
    "othersystem": _kind("another system_fingerprint in the answer, of OpenAI's dialect", name="fp_other"),
    "nousage": _kind("usage left out"),
    "badusage": _kind("usage that is not a number"),
    "nodata": _kind("the list of vectors left out altogether"),
    "forcefloat": _kind("floats though base64 was asked for"),
    "forcebase64": _kind("base64 though floats were asked for"),
}
"""Every fault by its name; `<status>` stands for any HTTP status."""

BATCH_FAULTS: Mapping[str, Kind] = {
    "ok": _kind("no fault; holds a place in a script"),
    "reverse": _kind("answers in the opposite order"),
    "lose": _kind("n answers missing", n="1"),
    "again": _kind("n answers twice", n="1"),
    "foreign": _kind("an answer that nobody asked for"),
    "errors": _kind("n lines that failed", n="1"),
    "narrow": _kind("vectors of n numbers in one line", line="0", n="8"),
    "expire": _kind("the window ends after a share of the lines", share="0.5"),
    "invalid": _kind("the file is refused before anything is worked out"),
    "queuefull": _kind("refused, because so many tokens are enqueued", n="3000000"),
    "never": _kind("a batch that does not end unless it is cancelled"),
    "unheard": _kind("the batch is made, and the answer has an error's status", status="500"),
    "short": _kind("the last n answers are not sent the first time, though they are counted", n="1"),
    "gone": _kind("its files of answers are not found"),
    "elsewhere": _kind("answers are at another address, by a redirect", to=""),
}
"""Of the batches of a batch API, by `server.batches.script()`."""

_STATUS = re.compile(r"[1-5]\d\d")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, its arguments filled up with the defaults."""

    name: str
    args: Mapping[str, str]

    @property
    def status(self) -> int | None:
        """The status that the fault's name is, if it is one."""
        return int(self.name) if _STATUS.fullmatch(self.name) else None

    def number(self, key: str) -> float:
        """An argument as a number.

        Args:
            key: its name.

        Returns:
            The number.
        """
        return float(self.args[key])


class Faults(tuple[Fault, ...]):
    """The faults of one request, in the order given."""

    __slots__ = ()

    def get(self, name: str) -> Fault | None:
        """The first fault of a name.

        Args:
            name: of the fault.

        Returns:
            None where there is none.
        """
        return next((fault for fault in self if fault.name == name), None)

    def __str__(self) -> str:
        return "+".join(fault.name for fault in self)


def parse_faults(spec: str, known: Mapping[str, Kind] = FAULTS) -> Faults:
    """Read a spec.

    Args:
        spec: `name[:key=value[;key=value]…]`, several joined by `+`.
        known: the faults that it may name.

    Returns:
        The faults, in the order given.

    Raises:
        ValueError: a name or an argument does not exist.
    """
    if not isinstance(spec, str):
        raise ValueError(f"a spec of faults is a text, such as '429:retry-after=1', not a {type(spec).__name__}")  # noqa: TRY004 - as it says
    return Faults(_parse(part.strip(), known) for part in spec.split("+"))


def _parse(part: str, known: Mapping[str, Kind]) -> Fault:
    name, _, rest = part.partition(":")
    kind = known.get("<status>" if _STATUS.fullmatch(name) else name)
    if kind is None or name == "<status>":
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(known)}")
    given = {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in rest.split(";") if pair)}
    if kind.defaults is not None and (unknown := given.keys() - kind.defaults.keys()):
        raise ValueError(
            f"fault {name!r} has no argument {min(unknown)!r}; it takes: {', '.join(kind.defaults) or 'none'}"
        )
    return Fault(name, {**(kind.defaults or {}), **given})
