"""`embedbridge models`: the catalogue as a table, or single models in full. Needs no network and no extra."""

from __future__ import annotations

import argparse
import difflib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from embedbridge._core.types import InputType
from embedbridge._run.describe import API_TYPED, Description, describe_card
from embedbridge.catalogue import ModelCard, cards, hosts, look_up
from embedbridge.catalogue.rows import COMPATIBLE, PROVIDERS
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError
from embedbridge.providers import BUILT_IN, canonical_name, placeholder_key

from .common import Commands, say

__all__ = ["add"]

LOCAL = "sentence-transformers"
MODEL_FILES = ("modules.json", "config.json")
"""One of them is in every model's directory."""
NEAR = 5
"""Names to propose for one that is not known."""
SHOWN = 22
"""Columns that a prefix takes in the table, at most."""
HEADS = ("", "dims", "cut to", "tokens", "$/M", "before a query", "before a document", "how sure")
NOTES = """\
$/M: dollars per million tokens. *: some of its facts are from memory. ?: not known. -: nothing.
`embedbridge models NAME` shows one model in full, its prefixes character by character."""


def add(commands: Commands) -> None:
    """Add the command.

    Args:
        commands: where parsers of commands are added.
    """
    parser = commands.add_parser("models", help="list the models that are known, or show one in full")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a model, with or without its provider; or a directory")
    parser.add_argument("--provider", help="only its models")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the table, or one model in full. Raises `ConfigurationError` for a name that means nothing."""
    provider = None if options.provider is None else _listed(options.provider)
    if options.name is not None:
        pages = [_page(*one) for one in find(options.name, provider)]
        say(_json(pages) if options.json else "\n\n".join(map(str, pages)))
    else:
        rows = list(cards(provider))
        say(_json(rows) if options.json else table(rows))
    return 0


def find(name: str, provider: str | None = None) -> list[tuple[str, ModelCard | None]]:
    """What a name means: `provider:model` and its row, for each provider that knows it; a directory may have none.

    Raises:
        ConfigurationError: nothing is called so; with the nearest names.
    """
    head, colon, tail = name.partition(":")
    if provider is None and colon and canonical_name(head) in {*PROVIDERS, *BUILT_IN}:
        provider, name = _listed(head), tail
    if provider in {None, LOCAL} and any((Path(name) / file).is_file() for file in MODEL_FILES):
        return [(f"{LOCAL}:{Path(name).absolute()}", look_up(LOCAL, name))]
    found: list[tuple[str, ModelCard | None]] = []
    for one in PROVIDERS if provider is None else (provider,):
        card = look_up(one, name)
        if card is not None and one in {provider, card.provider}:
            found.append((f"{one}:{name}", card))
    if not found:
        near = _near(name, provider)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise ConfigurationError(f"no model {name!r} is listed{f' for {provider}' if provider else ''}{hint}")
    return found


def table(rows: Iterable[ModelCard]) -> str:
    """A line for each model, under its provider's name."""
    blocks = [_block(provider, list(group)) for provider, group in groupby(rows, lambda card: card.provider)]
    return "\n\n".join([*blocks, NOTES])


def _block(provider: str, rows: Sequence[ModelCard]) -> str:
    lines = [HEADS, *map(_row, rows)]
    used = [at for at in range(len(HEADS)) if any(line[at] for line in lines[1:])]
    sizes = {at: max(_columns(line[at]) for line in lines) for at in used}
    texts = ["  ".join(line[at] + " " * (sizes[at] - _columns(line[at])) for at in used).rstrip() for line in lines]
    return "\n".join([provider, *(f"  {text}" for text in texts)])


def _columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _row(card: ModelCard) -> tuple[str, ...]:
    sizes = list(card.reductions)
    return (
        card.name.removeprefix(f"{card.provider}/"),
        str(card.dimensions or "?"),
        f"{sizes[0]} … {sizes[-1]}" if sizes else "",
        str(card.served_tokens or card.max_tokens or "any"),
        "" if card.price is None else f"{card.price:.2f}",
        _shown(card, "query"),
        _shown(card, "document"),
        card.sure + ("*" if card.from_memory else ""),
    )


def _shown(card: ModelCard, role: InputType) -> str:
    prefix = card.prefix(role)
    if card.provider in API_TYPED:
        return "input type"
    if not prefix:
        return "?" if prefix is None else "-"
    told = repr(prefix)
    while _columns(told) > SHOWN:
        told = f"{told[:-2]}…"
    return told


def _page(model: str, card: ModelCard | None) -> Description:
    """As an embedder would do it; where there can be none, as far as the catalogue knows."""
    url = None
    if card is not None and card.provider in COMPATIBLE:
        model = f"openai:{card.name}"
        url = next(host.url for host in hosts() if host.name == card.provider)
    try:
        return Embedder(model, cache=False, base_url=url, **placeholder_key(model)).describe()
    except ConfigurationError as error:
        if card is None:
            raise
        return describe_card(card, str(error))


def _listed(name: str) -> str:
    """A provider's own name. Raises `ConfigurationError` where no models are listed for it."""
    known = canonical_name(name)
    if known not in PROVIDERS:
        raise ConfigurationError(f"no models are listed for {name!r}; there are {', '.join(PROVIDERS)}")
    return known


def _near(name: str, provider: str | None) -> list[str]:
    wanted = name.lower().rpartition("/")[2]
    names: dict[str, str] = {}
    for card in cards(provider):
        for known in (card.name, *card.aliases):
            names.setdefault(known.lower().rpartition("/")[2], f"{card.provider}:{known}")
    close = difflib.get_close_matches(wanted, names, n=NEAR)
    return [names[known] for known in dict.fromkeys([*close, *(known for known in names if wanted in known)])][:NEAR]


def _json(values: Iterable[ModelCard | Description]) -> str:
    return json.dumps([asdict(value) for value in values], indent=2, default=_written)


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else list(value)
