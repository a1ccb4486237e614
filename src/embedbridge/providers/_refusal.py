"""An error answer as `RequestFailed`: its status, code, field, wait and meaning, by structure before words.

Servers wrap errors in each other: lists, `error`, `errors`, `detail`, `fault`, JSON inside a string, a status inside an
answer with status 200. All of it is walked through. What is shown of it is bounded by `error_words.py`.
"""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from embedbridge._core.fields import NOTHING, TEXT_FIELDS, base_field, names_entry, names_texts
from embedbridge._core.kinds import Kind
from embedbridge._core.rate_headers import AMOUNT, duration, reset_after, retry_after, seconds
from embedbridge._core.refusal_rows import FILTER, INPUT
from embedbridge._core.refusals import READ, understand
from embedbridge._core.said import Said
from embedbridge.errors import RequestFailed

from ._error_words import show, show_name
from ._listing import LISTS
from ._tables import table, words

DEEPEST = 12
"""Objects and lists inside each other that are looked into."""
MOST = 200
"""Objects that are looked at in one answer."""
PAGE = 4000
"""Characters of an answer that is no JSON in which a firewall's words are looked for."""
INSIDE = words("errors", "inside")
"""What is looked into first; then everything else, but for what may quote the request."""
QUOTES = TEXT_FIELDS | {"request", "value", "headers"}
MESSAGES, IDENTIFIERS, STATUSES = (words("errors", name) for name in ("messages", "identifiers", "statuses"))
NUMBERS: Mapping[str, str] = {"n_prompt_tokens": "tokens", "n_ctx": "limit"}
"""llama.cpp's names for the length of a text and what is read of it."""
BLOCKED = re.compile(
    r"url was rejected|\berror code: 1\d{3}\b|just a moment|attention required|cf-(chl|error|wrapper)|cloudflare"
    r"|zscaler|fortiguard|fortinet|netskope|forcepoint|incapsula|imperva|sucuri|barracuda|blue ?coat|umbrella|captcha"
    r"|access denied.{0,400}reference|(web ?page|web ?site|page|site|request|access) (has been |was |is )?blocked"
    r"|web application firewall|have been blocked|support id",
    re.IGNORECASE | re.DOTALL,
)
"""What a firewall's page says that no API does."""
NOT_OF_INPUT = FILTER - INPUT
HTML = re.compile(r"\s*<(!doctype html|html|head|body|title)", re.IGNORECASE)
MEDIA = re.compile(r"(text/(html|plain|xml|event-stream)|application/(problem\+)?(json|xml|octet-stream))(?![\w/+-])")
"""Content types that are shown; any other is a word of the server's own."""
_LIMIT = re.compile(
    r"-?\d{1,12}(\.\d{1,9})?(;w=\d{1,6})?|(\d{1,6}(\.\d{1,9})?(ms|d|h|m|s)){1,4}"
    r"|((limit|remaining|reset)=\d{1,12}(, )?){1,3}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
)
"""A number, a duration or a date: what a header about limits may hold."""
_WAITS = re.compile(
    r"(?:(?:retry|tryagain|resets?|available)(?:after|delay|in|at|time)+|(?:secondsto)?wait(?:time|for)?|backoff|cooldown"
    r"|estimatedtime)(?P<unit>ms|millis|milliseconds|s|secs?|seconds)?"
)
"""Names of fields that say how long to wait, as small letters alone; milliseconds are named as that."""
_ASKED = re.compile(
    r"(?:retry|try|again|wait|available|resets?|back|replenished)\W+(?:\w+\W+){0,3}?(?:in|after|for|at least)?\W*"
    rf"(?:PT)?((?:{AMOUNT}[\s,]*(?:and\s+)?)+)|retry.?after\W+(?P<bare>\d{{1,6}}(?:\.\d{{1,6}})?)(?![\w.])",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Told:
    """What an error answer says."""

    sent: str
    """See `Said`."""
    names: Collection[str] = ()
    """Names that the request's own body has."""
    messages: list[str] = field(default_factory=list)
    identifiers: list[Any] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Of a server behind the one that answers."""
    numbers: dict[str, int] = field(default_factory=dict)
    status: int | None = None


def read_refusal(
    status: int,
    headers: Mapping[str, str],
    payload: Any,
    *,
    page: str = "",
    secrets: Collection[str] = (),
    fields: Collection[str] = (),
    sent: str = "",
) -> RequestFailed | None:
    """The failure that an answer tells of; None for a successful one that holds no error.

    Args:
        status: of HTTP.
        headers: the answer's, lower-cased.
        payload: its JSON; None where it has none.
        page: its beginning, where it has no JSON.
        secrets: words that must not be shown.
        fields: names that the request's own body has.
        sent: its texts, as `Said` takes them.
    """
    blocked = status in {200, *FILTER} and Said(page[:READ], sent).search(BLOCKED)
    blocked = blocked or (status in NOT_OF_INPUT and HTML.match(page))
    if status < 400 and not holds_error(payload) and not blocked:
        return None
    told = _Told(sent, fields)
    _walk(payload, told, DEEPEST, iter(range(MOST)))
    inside = status >= 400
    meant = status if inside else told.status
    words = "; ".join(dict.fromkeys(told.messages)) or ("" if page.lstrip().startswith("<") else page)
    said = Said((words or page)[:READ], sent)
    headers = told.headers | dict(headers)
    wait = retry_after(headers, time.time()) or max(told.waits, default=None) or wait_in(said)
    told.identifiers += filter(None, [headers.get("x-amzn-errortype", "").partition(":")[0]])
    names = [str(name) for name in told.identifiers]
    named = min(told.fields, key=lambda param: _order(param, fields), default="")
    known = understand(meant, names, said, param=named, wait=wait, fields=fields)
    kind = Kind.BLOCKED if blocked and known.kind in {Kind.NONE, Kind.TEXT} else known.kind
    if wait is None and known.kind.is_of_rates(meant):
        wait = reset_after(headers, time.time())
    shown = [
        name
        for name in dict.fromkeys(map(show_name, told.identifiers))
        if name not in {"", str(meant)} and name.lower() not in NOTHING
    ]
    field_at_fault = base_field(known.param, fields)
    param = field_at_fault if field_at_fault in fields else show_name(field_at_fault)
    unshown = "a block page of what stands before the API" if kind is Kind.BLOCKED else "no words that can be shown"
    return RequestFailed(
        _message(status, meant, shown, param, show(words, secrets) or f"{unshown} ({media_type(headers)})"),
        status=meant,
        code=" ".join(shown),
        retry_after=wait,
        headers={name: value for name, value in headers.items() if _LIMIT.fullmatch(value)},
        kind=kind or (Kind.NONE if meant is not None else Kind.ERROR),
        param=param,
        numbers=told.numbers | known.numbers,
        understood=True,
    )


def _order(param: str, fields: Collection[str]) -> int:
    """A field of the request that is wrong comes before what comes of it, and one text before what might be missing."""
    if names_texts(param, fields):
        return 1 if names_entry(param) else 3
    return 0 if base_field(param, fields) in fields else 2


def media_type(headers: Mapping[str, str]) -> str:
    """An answer's content type, where it is one of the usual ones."""
    found = MEDIA.match(headers.get("content-type", ""))
    return found[0] if found else "another content type" if headers.get("content-type") else "no content type"


def _message(status: int, meant: int | None, names: list[str], param: str, said: str) -> str:
    begin = f"status {status}" if meant == status else f"an error{f' {meant}' if meant else ''} with status {status}"
    named = f" ({', '.join(names[:4])})" if names else ""
    at_fault = f", field {param}" if param else ""
    return f"{begin}{named}{at_fault}: {said}"[:400]


def holds_error(payload: Any) -> bool:
    """Whether a successful answer is none."""
    if isinstance(payload, list):
        return bool(payload) and all(isinstance(entry, dict) and holds_error(entry) for entry in payload)
    if not isinstance(payload, dict):
        return False
    if any(_says_something(payload.get(name)) for name in ("error", "errors", "fault")):
        return True
    if payload.get("success") is False or payload.get("object") == "error":
        return True
    if any(payload.get(name) is not None for name in LISTS):
        return False
    told = _Told("")
    _walk(payload, told, DEEPEST, iter(range(MOST)))
    return bool(told.messages) or told.status is not None


def _says_something(error: Any) -> bool:
    """Some servers write an empty error, or one with the code of success, into good answers."""
    if isinstance(error, dict):
        return any(_says_something(part) for part in error.values())
    return bool(error) and error not in (200, "200", "0", "none", "null")


def _walk(found: Any, told: _Told, depth: int, left: Iterator[int]) -> None:
    """Collect what an object of an error says, then what the objects inside of it say."""
    if depth == 0 or next(left, None) is None:
        return
    if isinstance(found, str):
        words, inner = _take_apart(found, told.sent)
        told.messages += filter(None, words)
        _walk(inner, told, depth - 1, left)
    elif isinstance(found, list):
        for entry in found[:MOST]:
            _walk(entry, told, depth - 1, left)
    elif isinstance(found, dict):
        _take(found, told)
        words = [found[name] for name in MESSAGES if isinstance(found.get(name), str)]
        names = [*INSIDE, *(name for name in found if name not in INSIDE and name not in QUOTES)]
        for each in words + [found[name] for name in names if isinstance(found.get(name), dict | list)]:
            _walk(each, told, depth - 1, left)


def _take(found: Mapping[str, Any], told: _Told) -> None:
    """What the names of an object's own entries say."""
    told.identifiers += [
        found[name]
        for name in IDENTIFIERS
        if isinstance(found.get(name), str | int) and not isinstance(found[name], bool)
    ]
    for name in ("param", "field", "loc"):
        if place := _field(found.get(name)):
            told.fields.append(place)
    for name in ("property", "parameter", "pointer", "name"):  # which may be those of something else
        if (place := _field(found.get(name))) and base_field(place, told.names) in told.names:
            told.fields.append(place)
    told.fields += _keys_of_messages(found.get("errors"), told.names, named=True)
    told.fields += _keys_of_messages(found, told.names)
    for name, value in found.items():
        if match := _WAITS.fullmatch(re.sub(r"[^a-z]", "", name.lower()[:40])):
            told.waits += filter(None, [_seconds(value, 0.001 if (match["unit"] or "").startswith("m") else 1.0)])
    told.numbers |= {to: found[name] for name, to in NUMBERS.items() if type(found.get(name)) is int}
    if isinstance(headers := found.get("headers"), dict):  # OpenRouter's metadata
        told.headers |= {str(name).lower(): value for name, value in headers.items() if isinstance(value, str)}
    if told.status is None:
        told.status = next(filter(None, (_status(found.get(name)) for name in STATUSES)), None)


def _field(value: Any) -> str:
    """The request's field that `param`, `field` or `loc` names."""
    if isinstance(value, list | tuple):
        value = ".".join(str(part) for part in value[:8])
    return value if isinstance(value, str) and base_field(value) else ""


def _keys_of_messages(found: Any, names: Collection[str], *, named: bool = False) -> list[str]:
    """Fields of the request by which an object has messages, as validators of .NET and Django write them.

    Args:
        found: the object, if it is one.
        names: names that the request's own body has.
        named: the object holds nothing but fields and what is wrong with them, and no echo of the request.
    """
    fields = []
    for name, value in found.items() if isinstance(found, dict) else ():
        key = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()  # .NET writes EncodingFormat
        a_list = isinstance(value, list) and bool(value) and isinstance(value[0], str)
        own = base_field(key, names)
        other = own not in names or own in {*TEXT_FIELDS, *MESSAGES, *IDENTIFIERS, *STATUSES}
        if (own in names or (a_list and key not in MESSAGES)) if named else (a_list and not other):
            fields.append(key)
    return fields


def _status(value: Any) -> int | None:
    if isinstance(value, str):
        value = table("grpc").get(value) or (int(value) if re.fullmatch(r"[45]\d\d", value) else None)
    return value if type(value) is int and 400 <= value < 600 else None


def _take_apart(said: str, sent: str) -> tuple[list[str], Any]:
    """A message's words, and what a gateway has put among them as JSON or as Python prints it; no text of ours."""
    begin, end = re.search(r"[{\[]\s*[{\[\"']", said), max(said.rfind("}"), said.rfind("]")) + 1
    if begin is None or end - begin.start() > PAGE:
        return [said], None
    quoted, words = said[begin.start() : end], [said[: begin.start()].strip(), said[end:].strip()]
    if quoted.lower() in sent:
        return words, None
    with suppress(ValueError, RecursionError):
        return words, json.loads(quoted)
    if "\\" not in quoted:  # of which Python's compiler may warn
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return words, ast.literal_eval(quoted)
    return [said], None


def _seconds(value: Any, unit: float) -> float | None:
    """A number, `"36s"`, `"6m0s"`, a date, or Google's `{"seconds": 1, "nanos": 2}` → seconds."""
    if isinstance(value, dict):
        whole, nanos = (value.get(name) or 0 for name in ("seconds", "nanos"))
        return (seconds(whole, 0.0) or 0.0) + 1e-9 * (seconds(nanos, 0.0) or 0.0) or None
    return seconds(value, time.time(), unit) or (duration(value) if isinstance(value, str) else None)


def wait_in(said: Said) -> float | None:
    """Seconds that a message asks to wait: "Please retry in 1.2s", "try again in 6m0s", "after 6 seconds"."""
    found = said.search(_ASKED)
    return (float(found["bare"]) or None if found["bare"] else duration(found[1])) if found else None
