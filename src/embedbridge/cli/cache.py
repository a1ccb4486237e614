"""`embedbridge cache …`: look at a disk cache, check it, empty it, carry it elsewhere."""

from __future__ import annotations

import argparse
import re
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any

from embedbridge._batch.desk import ledger_of
from embedbridge._batch.statuses import status_of
from embedbridge._columns import aligned, ending, room_beside, room_for_text
from embedbridge._core.words import full_name
from embedbridge.cache import CacheError, CacheStats, DiskCache, LabelStats, open_cache
from embedbridge.cache._connection import is_damage
from embedbridge.cache._maintenance import export, import_, verify
from embedbridge.catalogue import look_up
from embedbridge.errors import ConfigurationError
from embedbridge.providers import canonical_name

from .arguments import add_model_argument, add_progress_argument, bar_is_off
from .common import Commands, counted, counting_bar, dollars, say, say_json, show_help, size

__all__ = ["add"]

entries = partial(counted, one="entry", more="entries")
HELP = "look at the cache on disk, check it, empty it, carry it elsewhere"
EPILOG = """\
examples:
  embedbridge cache stats
  embedbridge cache prune --older-than 90d
  embedbridge cache clear --model local:all-MiniLM-L6-v2 --yes"""
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def add(commands: Commands) -> None:
    """Add the command.

    Args:
        commands: where parsers of commands are added.
    """
    parser = commands.add_parser("cache", help=HELP, description=f"{HELP[0].upper()}{HELP[1:]}.", epilog=EPILOG)
    parser.set_defaults(run=partial(show_help, parser))
    jobs = parser.add_subparsers(metavar="JOB")
    for name, (run, told) in JOBS.items():
        job = jobs.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        job.add_argument("--cache", metavar="DIR", help="the cache's directory (default: the user's)")
        job.add_argument("--json", action="store_true", help="for programs")
        job.set_defaults(run=_open_and(run))
        if name in {"verify", "export", "import"}:
            add_progress_argument(job)
        if name in {"export", "import"}:
            job.add_argument("file", metavar="FILE", help="of the export")
        if name == "prune":
            job.add_argument("--older-than", type=_age, metavar="AGE", help="such as 90d or 12h")
        if name == "clear":
            add_model_argument(job, "only this model's entries")
            job.add_argument("--yes", action="store_true", help="do not ask")


def _open_and(run: Callable[[DiskCache, argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def opened(options: argparse.Namespace) -> int:
        if options.cache is not None:
            open_cache(options.cache)  # it knows addresses that are misspelt
        with closing(DiskCache(options.cache, ttl=getattr(options, "older_than", None))) as cache:
            if run in LOOKING and options.cache is None and not cache.file.exists():
                _tell(
                    options, asdict(CacheStats()) | {"path": str(cache.directory)}, f"{cache.directory}\n{entries(0)}"
                )
                return 0
            if run not in MAKING and not cache.file.exists():
                raise ConfigurationError(f"there is no cache in {str(options.cache or cache.directory)!r}")
            try:
                return run(cache, options)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                raise CacheError(
                    f"{cache.file} is damaged ({error}): `export` saves what can be read of it, `clear` deletes it"
                ) from error

    return opened


def run_path(cache: DiskCache, options: argparse.Namespace) -> int:
    """Print the directory."""
    _tell(options, {"path": str(cache.directory)}, str(cache.directory))
    return 0


def run_stats(cache: DiskCache, options: argparse.Namespace) -> int:
    """What it holds, and what it has saved."""
    stats = cache.stats()
    saved = {label: price(label, held) for label, held in stats.labels.items()}
    told = asdict(stats) | {"path": str(cache.directory)}
    del told["tiers"]
    for label, amount in saved.items():
        told["labels"][label]["dollars_saved"] = amount
    ended = [each for each in map(status_of, ledger_of(cache).entries()) if each.ended and each.stored]
    told["batches"] = {
        "ended": len(ended),
        "texts": sum(each.stored for each in ended),
        "dollars_saved": sum(each.saved or 0.0 for each in ended),
    }
    table = _table(cache, stats, saved)
    if ended:
        texts, by_batch = counted(told["batches"]["texts"], "text"), dollars(told["batches"]["dollars_saved"])
        table += f"\n{texts} came by {counted(len(ended), 'batch', 'batches')}, {by_batch} under the ordinary price"
    _tell(options, told, table)
    return 0


def run_verify(cache: DiskCache, options: argparse.Namespace) -> int:
    """Read every entry; status 1 when some are damaged."""
    with counting_bar("entry", "checking", off=bar_is_off(options)) as progress:
        found = verify(cache, progress)
    sound = f"{entries(found.entries)}, all of them sound"
    if cache.alarm.faults:  # said as a warning: the file had to be set aside
        sound += ", are what could be read of a damaged file"
    damaged = (
        f"{entries(found.entries)}, {found.damaged:,} of them damaged: they are misses, and will be asked for again"
    )
    _tell(options, asdict(found), damaged if found.damaged else sound)
    return 1 if found.damaged or cache.alarm.faults else 0


def run_prune(cache: DiskCache, options: argparse.Namespace) -> int:
    """Delete old entries and files that were set aside as damaged, and give the space back."""
    before = cache.stats().bytes
    count = cache.prune()
    freed = max(0, before - cache.stats().bytes)
    _tell(options, {"deleted": count, "bytes_freed": freed}, f"{entries(count)} deleted, {size(freed)} given back")
    return 0


def run_clear(cache: DiskCache, options: argparse.Namespace) -> int:
    """Forget all entries, or those of one model; they were paid for, so it asks first."""
    labels = _labels(cache, options)
    if options.model is not None:  # by whichever name of its provider
        head, _, tail = options.model.partition(":")
        shown = {shown_label(label): label for label in labels}
        found = shown.get(full_name(canonical_name(head), tail))
        if found is None:
            known = ", ".join(map(repr, shown)) or "nothing"
            raise ConfigurationError(f"the cache holds nothing of {options.model!r}; it holds {known}")
        options.model = found
    count = sum(held.entries for label, held in labels.items() if options.model in {None, label})
    if not options.yes and not _agreed(f"Delete {entries(count)} of {cache.directory}? [y/N] "):
        say("nothing was deleted", aside=True)
        return 1
    cache.clear(options.model)
    _tell(options, {"deleted": count}, f"{entries(count)} deleted")
    return 0


def _labels(cache: DiskCache, options: argparse.Namespace) -> Mapping[str, LabelStats]:
    try:
        return cache.stats().labels
    except sqlite3.DatabaseError as error:
        if options.model is not None or not is_damage(error):
            raise
        return {"": LabelStats(sum(map(len, cache.rows())))}


def run_export(cache: DiskCache, options: argparse.Namespace) -> int:
    """Write all sound entries to one file."""
    with counting_bar("entry", "exporting", off=bar_is_off(options)) as progress:
        count = export(cache, options.file, progress)
    _tell(options, {"entries": count, "file": options.file}, f"{entries(count)} → {options.file}")
    return 0


def run_import(cache: DiskCache, options: argparse.Namespace) -> int:
    """Take over the sound entries of an export, or of a cache file that was set aside; status 1 when some were not."""
    with counting_bar("entry", "importing", off=bar_is_off(options)) as progress:
        found = import_(cache, options.file, progress)
    told = f"{entries(found.entries)} taken over"
    if found.damaged:
        told += f", {found.damaged:,} damaged ones left out"
    if not found.complete:
        told += "; the file ends too early"
    _tell(options, asdict(found), told)
    return 0 if found.complete and not found.damaged else 1


JOBS: dict[str, tuple[Callable[[DiskCache, argparse.Namespace], int], str]] = {
    "stats": (run_stats, "entries, bytes, hits and dollars saved, by model"),
    "verify": (run_verify, "read every entry and its checksum"),
    "prune": (run_prune, "delete old entries and give their space back"),
    "clear": (run_clear, "forget all entries, or those of one model"),
    "path": (run_path, "where it is"),
    "export": (run_export, "write all entries to one file"),
    "import": (run_import, "take over the entries of an export"),
}
LOOKING = (run_stats, run_verify)
"""Commands to which the user's own directory is empty before it is made."""
MAKING = (run_path, run_import)
"""Commands that do not need an existing cache."""


def price(label: str, held: LabelStats) -> float | None:
    """Dollars that a model's hits have saved, at today's listed price; None where none is listed."""
    card = look_up(*label.partition(":")[::2])
    return None if card is None or card.price is None else held.tokens_saved * card.price / 1e6


def shown_label(label: str) -> str:
    """A model's name in the cache's statistics as people are shown it."""
    provider, colon, model = label.partition(":")
    return full_name(provider, model) if colon else label


def _table(cache: DiskCache, stats: CacheStats, saved: dict[str, float | None]) -> str:
    asked = stats.hits + stats.misses
    share = f" ({stats.hits / asked:.0%} of all look-ups)" if asked else ""
    lines = [
        f"{cache.directory}",
        f"{entries(stats.entries)}, {size(stats.bytes)}; {stats.hits:,} hits{share}, {stats.misses:,} misses",
    ]
    heads = ("model", "entries", "vectors", "hits", "tokens saved", "dollars saved")
    rows = [
        (
            shown_label(label) or "(copied)",
            f"{held.entries:,}",
            size(held.bytes),
            f"{held.hits:,}",
            f"{held.tokens_saved:,}",
            dollars(saved[label]),
        )
        for label, held in stats.labels.items()
    ]
    if rows:
        room = max(20, room_beside([heads, *rows], room_for_text()))
        lines += aligned([heads, *((ending(name, room), *counts) for name, *counts in rows)], 1)
    return "\n".join(lines)


def _tell(options: argparse.Namespace, plain: dict[str, Any], line: str) -> None:
    if options.json:
        say_json(plain)
    else:
        say(line)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nothing is deleted without a confirmation, and there is no terminal to ask on; pass --yes"
        )
    return input(question).strip().lower() in {"y", "yes"}


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no age; write it like 90d, 12h or 30m")
    return float(found[1]) * SECONDS[found[2]]
