"""`embedbridge models`: the catalogue as a table, or single models in full. Needs no network and no extra."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from embedbridge._columns import aligned, beginning, columns_of, ending, room_for_text, wrapped
from embedbridge._core.types import InputType
from embedbridge._core.words import full_name, short_name
from embedbridge._run.describe import Description, describe_card
from embedbridge.catalogue import ModelCard, cards, hosts, look_up
from embedbridge.catalogue.rows import COMPATIBLE, PROVIDERS
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError
from embedbridge.providers import BUILT_IN, canonical_name, placeholder_key

from .arguments import complete_model
from .common import Commands, say
from .wording import in_flags

__all__ = ["add"]

LOCAL = "sentence-transformers"
MODEL_FILES = ("modules.json", "config.json")
"""One of them is in every model's directory."""
NEAR = 5
"""Names to propose for one that is not known."""
LAYOUTS = (  # from the most to the least that is shown, of which the first that fits is taken
    (22, ()),
    (22, ("how sure",)),
    (14, ("how sure",)),
    (22, ("how sure", "before a document")),
    (14, ("how sure", "before a document")),
    (14, ("how sure", "before a document", "before a query")),
    (14, ("how sure", "before a document", "before a query", "cut to")),
)
"""Characters of a prefix that are shown, and columns that are left out."""
NAME = 12
"""Characters of a model's name that are always shown."""
WIDE = 200
"""Characters of a line where there is no terminal."""
HEADS = ("", "dims", "cut to", "tokens", "$/M", "before a query", "before a document", "how sure")
NOTES = """\
$/M: dollars per million tokens. *: some facts are from memory. ?: not known. -: nothing. How sure: verified (read in \
the source, or measured), documented (the vendor's word), secondary (someone else's), memory (not looked up); a wide \
terminal shows it. `embedbridge models WORD` lists models with a word in their names, `embedbridge models NAME` shows \
one in full."""
READABLE = 78
"""Columns of a line of prose."""

HELP = "list the models that are known, or show one in full"
DESCRIPTION = "List the models that are known, or show one in full: what is sent for each role, and the model's limits."
EPILOG = """\
examples:
  embedbridge models bge
  embedbridge models local:BAAI/bge-small-en-v1.5
  embedbridge models --provider voyage --json"""
RETIRING = "?: not known. The vectors of what follows are others, so an index has to be embedded anew."


def add(commands: Commands) -> None:
    """Add the command.

    Args:
        commands: where parsers of commands are added.
    """
    parser = commands.add_parser("models", help=HELP, description=DESCRIPTION, epilog=EPILOG)
    action: Any = parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a model, a part of names, or a directory"
    )
    action.completer = complete_model
    parser.add_argument("--provider", help="only its models")
    parser.add_argument("--retiring", action="store_true", help="only models that their vendors retire, with the day")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the table, or one model in full. Raises `ConfigurationError` for a name that means nothing."""
    provider = None if options.provider is None else _listed(options.provider)
    if options.name is not None and options.retiring:
        raise ConfigurationError(
            "--retiring lists models: leave NAME out. The page of one model (embedbridge models NAME) has its day"
        )
    if options.name is not None:
        pages = [_page(*one) for one in find(options.name, provider)]
        if not pages and (rows := _search(options.name, provider)):
            say(_json(rows) if options.json else table(rows))
        else:
            pages = pages or [_unlisted(options.name, provider)]
            say(_json(pages) if options.json else "\n\n".join(page.page(room_for_text(), in_flags) for page in pages))
    else:
        rows = retiring(cards(provider)) if options.retiring else list(cards(provider))
        say(_json(rows) if options.json else (retirements if options.retiring else table)(rows))
    return 0


def find(name: str, provider: str | None = None) -> list[tuple[str, ModelCard | None]]:
    """What a name means: `provider:model` and its row, for each provider that knows it; a directory may have none."""
    head, colon, tail = name.partition(":")
    if provider is None and colon and canonical_name(head) in PROVIDERS:
        provider, name = canonical_name(head), tail
    if provider in {None, LOCAL} and any((Path(name) / file).is_file() for file in MODEL_FILES):
        return [(f"{LOCAL}:{Path(name).absolute()}", look_up(LOCAL, name))]
    found: list[tuple[str, ModelCard | None]] = []
    for one in PROVIDERS if provider is None else (provider,):
        card = look_up(one, name)
        if card is not None and one in {provider, card.provider}:
            found.append((f"{one}:{name}", card))
    return found


def _search(word: str, provider: str | None) -> list[ModelCard]:
    """Models with a word in one of their names, and those of the provider that it names."""
    wanted, named = word.lower(), canonical_name(word)
    return [
        card
        for card in cards(provider)
        if card.provider == named or any(wanted in name.lower() for name in (card.name, *card.aliases))
    ]


def _unlisted(name: str, provider: str | None) -> Description:
    """What an embedder would do with a model that is not listed. Raises `ConfigurationError` where a name is a slip."""
    head, colon, model = name.partition(":")
    known = provider or (canonical_name(head) if colon else None)
    wanted = model if colon and known == canonical_name(head) else name
    near = _near(wanted, known) if known is None or known in PROVIDERS else []
    if known is None:
        near = [*difflib.get_close_matches(name.lower(), map(short_name, PROVIDERS), n=1), *near]
    if known is None or near:
        hint = f"near it are {', '.join(near)}" if near else "`embedbridge models` lists all"
        raise ConfigurationError(f"no model {name!r} is listed{f' for {short_name(known)}' if known else ''}; {hint}")
    return _page(f"{known}:{model if colon else name}", None)


def table(rows: Iterable[ModelCard]) -> str:
    """A line for each model, under its provider's name, in the first layout that fits the terminal."""
    blocks = [_fitted(provider, list(group)) for provider, group in groupby(rows, lambda card: card.provider)]
    return "\n\n".join([*blocks, _prose(NOTES)])


def retiring(rows: Iterable[ModelCard]) -> list[ModelCard]:
    """Those that have been retired or will be, the first one first."""
    return sorted((card for card in rows if card.retires), key=lambda card: card.retires or date.max)


def retirements(rows: Iterable[ModelCard]) -> str:
    """A line for each model: the day, its name, and what follows it."""
    lines = [(str(card.retires), full_name(card.provider, card.name), card.successor or "?") for card in rows]
    if not lines:
        return "no day is known of any of these models"
    wide = max(len(name) for _, name, _ in lines)
    told = [f"{day}  {name:{wide}}  then {successor}" for day, name, successor in lines]
    if max(map(len, told)) > room_for_text():
        told = [f"{day}  {name}\n{'':10}  then {successor}" for day, name, successor in lines]
    return "\n".join([*told, _prose(RETIRING)])


def _prose(text: str) -> str:
    return "\n".join(wrapped(text, min(room_for_text(), READABLE)))


def _fitted(provider: str, rows: Sequence[ModelCard]) -> str:
    room, block = room_for_text(WIDE), ""
    for shown, left_out in LAYOUTS:
        block = _block(provider, rows, shown, left_out)
        if (wide := max(map(columns_of, block.splitlines()))) <= room:
            return block
    names = max(len(card.name.removeprefix(f"{provider}/")) for card in rows)
    return _block(provider, rows, *LAYOUTS[-1], most=max(NAME, names - (wide - room)))


def _block(
    provider: str, rows: Sequence[ModelCard], shown: int, left_out: Collection[str], most: int | None = None
) -> str:
    lines = [HEADS, *(_row(card, shown) for card in rows)]
    if most is not None:
        lines = [(ending(name, most), *rest) for name, *rest in lines]
    used = [at for at, head in enumerate(HEADS) if head not in left_out and any(line[at] for line in lines[1:])]
    texts = aligned([[line[at] for at in used] for line in lines], len(used))
    own = "" if provider == short_name(provider) else f" ({provider})"
    return "\n".join([f"{short_name(provider)}{own}", *(f"  {text}" for text in texts)])


def _row(card: ModelCard, shown: int) -> tuple[str, ...]:
    sizes = list(card.reductions)
    return (
        card.name.removeprefix(f"{card.provider}/"),
        str(card.dimensions or "?"),
        f"{sizes[0]} … {sizes[-1]}" if sizes else "",
        str(card.served_tokens or card.max_tokens or "any"),
        "" if card.price is None else f"{card.price:.2f}",
        _shown(card, "query", shown),
        _shown(card, "document", shown),
        card.sure + ("*" if card.from_memory else ""),
    )


def _shown(card: ModelCard, role: InputType, most: int) -> str:
    prefix = card.prefix(role)
    if card.api_roles:
        return "input type"
    if not prefix:
        return "?" if prefix is None else "-"
    return beginning(repr(prefix), most)


def _page(model: str, card: ModelCard | None) -> Description:
    """As an embedder would do it; where there can be none, as far as the catalogue knows."""
    url = None
    if card is not None and card.provider in COMPATIBLE and card.provider not in BUILT_IN:
        model = f"openai:{card.name}"
        url = next(host.url for host in hosts() if host.name == card.provider)
    try:
        page = Embedder(model, cache=False, base_url=url, **placeholder_key(model)).describe()
    except ConfigurationError as error:
        if card is None:
            raise
        return describe_card(card, str(error))
    return page if url is None else replace(page, remarks=(f"written as {model} with --base-url {url}", *page.remarks))


def _listed(name: str) -> str:
    """A provider's own name. Raises `ConfigurationError` where no models are listed for it."""
    known = canonical_name(name)
    if known not in PROVIDERS:
        raise ConfigurationError(
            f"no models are listed for {name!r}; there are {', '.join(map(short_name, PROVIDERS))}"
        )
    return known


def _near(name: str, provider: str | None) -> list[str]:
    wanted = name.lower().rpartition("/")[2]
    names: dict[str, str] = {}
    for card in cards(provider):
        for known in (card.name, *card.aliases):
            names.setdefault(known.lower().rpartition("/")[2], full_name(card.provider, known))
    close = difflib.get_close_matches(wanted, names, n=NEAR)
    return [names[known] for known in dict.fromkeys([*close, *(known for known in names if wanted in known)])][:NEAR]


def _json(values: Iterable[ModelCard | Description]) -> str:
    return json.dumps([asdict(value) for value in values], indent=2, default=_written)


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else list(value)
