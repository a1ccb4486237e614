"""Describes a model and what is sent to it, for a person to check. Loads no model and sends nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from embedbridge._columns import ANY, columns_of, indented, literals, room_for_text, wrapped
from embedbridge._core.types import INPUT_TYPES, Limits, Route
from embedbridge._core.words import Shown, full_name
from embedbridge.catalogue import ModelCard

from .roles import PREFIXED, find_route

if TYPE_CHECKING:
    from .parts import Parts
    from .pool import Member

SURE = {
    "verified": "verified: read in the source, or measured",
    "documented": "documented: the vendor's word",
    "secondary": "secondary: someone else's word",
    "memory": "from memory: nobody has looked it up",
}
SOURCES = {
    "option": "your option",
    "api": "the API's own input type",
    "host": "as this server wants it",
    "model": "saved with the model",
    "catalogue": "catalogue",
}
INDENT = 18
"""Columns before what is sent for a role."""
LEAST = 44
"""Columns for it, before its source is wrapped."""


@dataclass(frozen=True, slots=True)
class Description(Shown):
    """What is sent for each role, and what is known of the model. `str()` of it is a page to read."""

    model: str
    """`provider:model`."""
    routes: tuple[Route, ...]
    """One for each role."""
    card: ModelCard | None = None
    """The catalogue's row; None for a model that is not listed."""
    tokens: int | None = None
    """Of one text, prefix and special tokens included; None: no limit is known."""
    request_texts: int | None = None
    request_tokens: int | None = None
    """Summed over one request; None: no such limit is known."""
    too_long: str = "truncate"
    counter: str = ""
    """What measures texts that may be too long."""
    dimensions: int | None = None
    """Of the vectors that come out; None: known after the first batch."""
    normalized: bool | None = None
    """Whether they come out with unit length; None: not known."""
    remarks: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Of a pool: the address of each, and what it has of its own."""

    def __str__(self) -> str:
        return self.page(room_for_text())

    def page(self, columns: int, words: Callable[[str], str] = str) -> str:
        """The page, of lines that are no longer than that, except for addresses and names that are longer.

        Args:
            columns: of the terminal.
            words: what makes the words of a face of ours out of the library's.

        Returns:
            Lines. A text that is sent for a role stands in as many literals as it takes, as Python would join them.
        """
        facts = [(name, told) for name, told in self._facts() if told]
        width = max(len(name) for name, _ in facts)
        told = [indented(f"{name:{width}}  ", words(text), columns) for name, text in facts]
        return "\n".join([full_name(*self.model.split(":", 1)), *self.sent(columns), *told])

    def sent(self, columns: int = ANY) -> list[str]:
        """What is sent for each role.

        Args:
            columns: of the terminal.

        Returns:
            A heading, and lines for each role: the exact text, as Python writes it, and its source.
        """
        own = [(route, self._says(route)) for route in self.routes]
        says_room = max(len(says) for _, says in own)
        room = columns - INDENT - 2
        if room - says_room < max(columns_of(_text(route)) for route, _ in own):
            says_room = min(says_room, max(room // 3, room - LEAST))
        room -= says_room
        rows = [
            ("role", ["sent as"], ["source"]),
            *((route.input_type, _lines(route, room), wrapped(says, says_room)) for route, says in own),
        ]
        width = max(columns_of(line) for _, texts, _ in rows for line in texts)
        return [
            f"  {role if not at else '':14}  {text}{' ' * (width - columns_of(text))}  {says}".rstrip()
            for role, texts, sources in rows
            for at, (text, says) in enumerate(zip_longest(texts, sources, fillvalue=""))
        ]

    def _says(self, route: Route) -> str:
        if route.source != "none":
            guessed = route.source == "catalogue" and self._from_memory(route.input_type)
            return SOURCES[route.source] + (", from memory" if guessed else "")
        if self.card is not None:
            return "nothing is known of this role"
        return "not in the catalogue" if self.model.partition(":")[0] in PREFIXED else "as it is"

    def _from_memory(self, fact: str) -> bool:
        return self.card is not None and (self.card.sure == "memory" or fact in self.card.from_memory)

    def _facts(self) -> list[tuple[str, str]]:
        card = self.card
        reads = f"{self.tokens} per text; longer texts: {self.too_long}" if self.tokens else "no limit is known"
        gives = str(self.dimensions or "not known before the first batch")
        told = [
            ("max tokens", reads),
            ("counted by", self.counter),
            ("per request", _together(self.request_texts, self.request_tokens)),
            ("dimensions", gives),
            ("unit length", {True: "yes", False: "no", None: "not known"}[self.normalized]),
            ("endpoints", f"{len(self.endpoints)}: {'; '.join(self.endpoints)}" if self.endpoints else ""),
        ]
        if card is not None:
            price = f"${card.price:g} per million tokens ({card.price_date})" if card.price is not None else ""
            told += [
                ("listed as", full_name(card.provider, card.name) + (" (retired)" if card.status == "retired" else "")),
                ("retires", _retires(card)),
                ("task", f"provider_options={{'task': …}} fills {card.task_template!r}" if card.task_template else ""),
                ("can be reduced", f"to {widths(card)} dimensions" if card.reductions else "no"),
                ("price", price),
                ("licence", card.licence + (", runs code of its own" if card.trust_remote_code else "")),
                ("how sure", SURE[card.sure]),
                ("from memory", ", ".join(card.from_memory)),
                ("source", card.source),
                ("note", card.note),
                ("loading", card.loads),
            ]
        return [*told, *(("remark", remark) for remark in self.remarks)]


def _retires(card: ModelCard) -> str:
    followed = f"followed by {card.successor}" if card.successor else ""
    return ", ".join(filter(None, (str(card.retires or ""), followed)))


def widths(card: ModelCard) -> str:
    """The dimensions that vectors can be reduced to: `256, 512, 1024`, or `32 … 1024` where it is any between."""
    sizes = card.reductions
    if isinstance(sizes, range) and len(sizes) > 1:
        return f"{sizes[0]} … {sizes[-1]}"
    return ", ".join(map(str, sizes))


def describe_card(card: ModelCard, *remarks: str) -> Description:
    """A model as the catalogue alone knows it, for a machine without its provider's package."""
    routes = []
    for role in INPUT_TYPES:
        prefix = card.prefix(role)
        source = "api" if card.api_roles else "none" if prefix is None else "catalogue"
        routes.append(Route(role, prefix or "", source=source))
    return Description(
        f"{card.provider}:{card.name}",
        tuple(routes),
        card,
        tokens=card.served_tokens or card.max_tokens,
        request_tokens=card.request_tokens,
        dimensions=card.dimensions,
        normalized=card.normalized,
        remarks=remarks,
    )


def describe_parts(parts: Parts) -> Description:
    """What an embedder of these parts does."""
    from .pool import limits_of

    provider, card, here = parts.provider, parts.card, parts.provider.known_offline
    limits = (
        (limits_of(parts.members) if parts.members else provider.limits)
        if here
        else Limits(text_tokens=card.max_tokens if card else None, padded=True)
    )
    remarks = list(provider.remarks())
    if not here:
        remarks.append("not on this machine yet; once it is, its own prompts and limits take precedence")
    if parts.finish.reduction is not None:
        remarks.append(f"reduced by {parts.finish.reduction!r}")
    saved = provider.prompts() if here else {}
    return Description(
        f"{provider.name}:{provider.model}",
        tuple(find_route(parts, role, saved=saved) for role in INPUT_TYPES),
        card,
        tokens=limits.text_tokens,
        request_texts=None if limits.padded else limits.items,
        request_tokens=None if limits.padded else limits.tokens,
        too_long=parts.options.too_long,
        counter=_counter(parts) if limits.text_tokens else "",
        dimensions=_width(parts),
        normalized=_unit_length(parts),
        remarks=tuple(remarks),
        endpoints=tuple(map(_member, parts.members)),
    )


def _member(member: Member) -> str:
    own = member.own
    told = [
        member.name,
        f"weight {own.weight:g}" if own.weight != 1 else "",
        f"{own.requests_per_minute:g} requests a minute" if own.requests_per_minute else "",
        f"{own.tokens_per_minute:g} tokens a minute" if own.tokens_per_minute else "",
        f"{own.max_concurrency} at once" if own.max_concurrency else "",
    ]
    return ", ".join(filter(None, told))


def _counter(parts: Parts) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when it matters: where a text has to be counted
        return parts.provider.counter_name()


def _width(parts: Parts) -> int | None:
    reduced = getattr(parts.finish.reduction, "n_components", None)
    width: int | None = reduced or parts.finish.cut or parts.provider.width()
    return width


def _unit_length(parts: Parts) -> bool | None:
    normalize, finish = parts.options.normalize, parts.finish
    if normalize or ((finish.cut or finish.narrowed) and finish.reduction is None and normalize is None):
        return True
    changed = finish.cut or finish.raw or finish.reduction is not None
    return None if changed else parts.provider.unit_length


def _together(texts: int | None, tokens: int | None) -> str:
    counted = [f"{count} {kind}" for count, kind in ((texts, "texts"), (tokens, "tokens")) if count]
    return f"at most {' and '.join(counted)}" if counted else ""


def _text(route: Route) -> str:
    return f"{route.prefix!r} + {_rest(route)}" if route.prefix else _rest(route)


def _rest(route: Route) -> str:
    if route.wire_type and route.wire_type.startswith("{"):
        return f"text, with {route.wire_type}"
    return f"text, as {route.wire_type!r}" if route.wire_type else "text"


def _lines(route: Route, room: int) -> list[str]:
    """`_text` in lines."""
    if columns_of(_text(route)) <= room:
        return [_text(route)]
    *pieces, last = literals(route.prefix, room) or [""]
    rest = f"+ {_rest(route)}" if route.prefix else _rest(route)
    if columns_of(f"{last} {rest}") <= room:
        return [*pieces, f"{last} {rest}".lstrip()]
    return [*pieces, *filter(None, [last]), *wrapped(rest, room)]
