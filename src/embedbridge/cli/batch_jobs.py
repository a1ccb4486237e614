"""`embedbridge batch status`, `collect`, `cancel`, `forget`, `list`: what is on its way, of any model.

It is written down beside the cache, so that any later command knows it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from embedbridge import batch
from embedbridge._batch.collecting import forget_in, pauses
from embedbridge._batch.desk import ledger_of
from embedbridge._batch.ledger import Entry
from embedbridge._batch.statuses import BatchStatus, status_of
from embedbridge._run.stored import as_data
from embedbridge.cache import Cache, open_cache
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, EmbeddingError
from embedbridge.providers import TransportOptions

from .arguments import add_model_argument, add_progress_argument, as_pair, bar_is_off
from .common import counted, counting_bar, dollars, say, say_json
from .handing import handed_over, source_of, tell_handed

__all__ = ["JOBS", "add_job_arguments"]

WRITTEN = ("model", "dimensions", "query_prefix", "document_prefix", "too_long", "empty")
"""What a ledger decides of an embedder, besides options of its provider that may decide a vector."""
OFFICIAL = "the vendor's own address"


def add_job_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add what a job takes, but for how a file is read.

    Args:
        parser: of the job.
        name: of the job.
    """
    add = parser.add_argument
    count, default = ("+", "") if name == "forget" else ("*", " (default: all)")
    add("batches", metavar="BATCH", nargs=count, help=f"the vendor's names of them{default}")
    add_model_argument(parser, "only those of this model")
    add("--cache", metavar="WHERE", help="the cache's directory, or redis://… (default: the user's)")
    add("--json", action="store_true", help="for programs")
    if name != "forget":
        told = "only those of this server" if name == "list" else "of the server, as at submit: the ledger decides none"
        add("--base-url", metavar="URL", help=told)
    if name not in {"list", "forget"}:  # which ask nobody
        told = "what only one provider knows, as at submit, such as headers and query; may be given more than once"
        add("--option", dest="provider_options", action="append", type=as_pair, metavar="NAME=VALUE", help=told)
    if name == "collect":
        add("--wait", action="store_true", help="wait until all have ended, also those that are handed over meanwhile")
        add("--again", metavar="FILE", help="then hand over again what the cache still lacks of this file")
        add("--max-cost", type=float, metavar="DOLLARS", help="of what --again hands over")
        add_progress_argument(parser)


def run_list(options: argparse.Namespace) -> int:
    """What is written down of all batches. Asks nobody."""
    entries = _chosen(options, _cache(options), ended=True)
    if options.base_url is not None:
        entries = [each for each in entries if _host(address_told(each)) == _host(options.base_url)]
    tell(options, [status_of(entry) for entry in entries])
    return 0


def run_status(options: argparse.Namespace) -> int:
    """Ask the vendors."""
    tell(options, _by_embedder(options, batch.status))
    return 0


def run_cancel(options: argparse.Namespace) -> int:
    """Have the vendors end them."""
    tell(options, _by_embedder(options, batch.cancel))
    return 0


def run_forget(options: argparse.Namespace) -> int:
    """Wait for them no more. Asks nobody, so it needs no key."""
    cache = _cache(options)
    ledger, tags = ledger_of(cache), {entry.tag for entry in _chosen(options, cache, ended=True)}
    for entry in ledger.entries():
        if entry.tag in tags:
            forget_in(ledger, entry)
    tell(options, [status_of(entry) for entry in ledger.entries() if entry.tag in tags])
    return 0


def run_collect(options: argparse.Namespace) -> int:
    """Take in what came back. With `--wait`, under a bar, until nothing is awaited."""
    if options.again is None:
        _refuse_of_again(options)
    latest = _for_again(options) if options.again is not None else None
    told: dict[str, BatchStatus] = {}
    with counting_bar("text", "waiting", off=bar_is_off(options) if options.wait else True) as progress:
        for pause in pauses():
            found = _by_embedder(options, batch.collect)
            ended = {name: each for name, each in told.items() if each.ended}
            told = ended | {each.id: each for each in found}
            progress(sum(each.texts for each in told.values() if each.ended), sum(each.texts for each in told.values()))
            if not options.wait or all(each.ended or each.lost for each in found):
                break
            time.sleep(pause)
    taken = [*told.values()]
    if latest is None:
        tell(options, taken)
        return 0
    return _again(options, latest, taken)


def _refuse_of_again(options: argparse.Namespace) -> None:
    """Raise `ConfigurationError` for what is about the file of `--again`, where there is none."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("max_cost", "format", "column", "input_type", "queue_tokens")
        if getattr(options, name) is not None
    ]
    if given:
        raise ConfigurationError(f"{', '.join(given)}: about texts that are handed over again; name FILE with --again")


def _for_again(options: argparse.Namespace) -> Entry:
    """The batch whose embedder and role texts are handed over anew by: the latest of those that are meant."""
    entries = _chosen(options, _cache(options), ended=True)
    if not entries:
        raise ConfigurationError("--again: no batch is known here; hand texts over with: embedbridge batch submit")
    kinds = {(entry.model, entry.identity, options.input_type or entry.role) for entry in entries}
    if len(kinds) > 1:
        told = ", ".join(sorted(f"{entry.remote or '-'} ({entry.model}, {entry.role})" for entry in entries))
        raise ConfigurationError(f"--again: the batches are of several models, options or roles: {told}; name one")
    return entries[-1]


def _again(options: argparse.Namespace, entry: Entry, taken: Sequence[BatchStatus]) -> int:
    """Hand texts of a file over anew, and tell what was taken in before."""
    options.dry_run, options.input_type = False, options.input_type or entry.role
    if not options.json:
        tell(options, taken)
    with made_again(entry, options) as embedder:
        handed = handed_over(embedder, source_of(options.again, options), options)
    if options.json:
        say_json({"batches": [asdict(each) for each in taken], "again": handed})
    elif not options.quiet:
        say(tell_handed(handed, options))
    return 0


def _by_embedder(options: argparse.Namespace, step: Callable[..., list[BatchStatus]]) -> list[BatchStatus]:
    """Do something with batches of any models, those of each by an embedder that is made again for it."""
    found, failure = list[BatchStatus](), None
    entries = _chosen(options, _cache(options), ended=bool(options.batches))
    for identity, entry in {entry.identity: entry for entry in entries}.items():
        names = [each.name for each in entries if each.identity == identity] if options.batches else None
        try:
            with made_again(entry, options) as embedder:
                found += step(embedder, names)
        except EmbeddingError as error:  # those of other models are not kept waiting
            failure = failure or error
    if failure is not None:
        if found:
            tell(options, found)
        raise failure
    return found


def _cache(options: argparse.Namespace) -> Cache:
    cache = open_cache(True if options.cache is None else options.cache)
    if cache is None:
        raise ConfigurationError("--cache: write a directory or redis://…")
    return cache


def _chosen(options: argparse.Namespace, cache: Cache, *, ended: bool) -> list[Entry]:
    entries = [entry for entry in ledger_of(cache).entries() if options.model in {None, entry.model}]
    if options.batches:
        known = {entry.name for entry in entries}
        for name in options.batches:
            if name not in known:
                raise ConfigurationError(f"no batch {name!r} is written down beside this cache")
        return [entry for entry in entries if entry.name in options.batches]
    return [entry for entry in entries if ended or not status_of(entry).ended]


def made_again(entry: Entry, options: argparse.Namespace) -> Embedder:
    """The embedder that has handed a batch over. Its key comes from the environment.

    The ledger may be another machine's, so it decides neither address nor proxy nor certificates.
    """
    written, told, where = _made_by(entry), address_told(entry), f"batch {entry.name} of {entry.model}"
    theirs, own = written.get("provider_options", {}), dict(options.provider_options or ())
    given = {name: written[name] for name in WRITTEN if name in written} | {"provider_options": theirs | own}
    _refuse_foreign(where, set(theirs) & set(TransportOptions.model_fields) - set(own))
    most = getattr(options, "max_cost", None)
    embedder = Embedder(**given, base_url=options.base_url, cache=_cache(options), max_cost=most)
    identity = embedder._parts.provider.identity  # noqa: SLF001 - our own
    if identity.endpoint != told:
        advice = f"write --base-url {shlex.quote(told)}" if told else "leave --base-url and its variable out"
        raise ConfigurationError(
            f"{where}: by the ledger it was handed over to {repr(told) if told else OFFICIAL}, and requests go to "
            f"{identity.endpoint or OFFICIAL}. You say where your key goes, and no ledger does: if that is your "
            f"server, {advice}; if not, forget the batch"
        )
    _refuse_foreign(where, set(theirs) - set(own) - set(as_data(embedder).get("provider_options", ())))
    if identity.fingerprint != entry.identity:
        raise ConfigurationError(
            f"{where}: the embedder that handed it over cannot be made again from "
            "what was written down. Headers and query= are not written down, because they may hold secrets: give them "
            "as --option NAME=VALUE, as at submit; and look at the environment's variables"
        )
    return embedder


def _refuse_foreign(where: str, names: set[str]) -> None:
    """Raise `ConfigurationError` for options that no ledger has of us, such as a proxy."""
    if names:
        told = f"{where}: options that are never written down stand in the ledger: {', '.join(sorted(names))}"
        raise ConfigurationError(f"{told}; forget the batch")


def address_told(entry: Entry) -> str:
    """The address that a ledger tells of a batch; "" for the vendor's own."""
    return str(_made_by(entry).get("base_url") or "")


def _made_by(entry: Entry) -> dict[str, Any]:
    """The options in a ledger. Raises `ConfigurationError` for what we have not written."""
    with suppress(ValueError):
        found = json.loads(entry.made_by)
        if isinstance(found, dict) and isinstance(found.get("provider_options", {}), dict):
            return found
    raise ConfigurationError(f"batch {entry.name}: the ledger does not hold the options of an embedder; forget it")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def tell(options: argparse.Namespace, found: Sequence[BatchStatus]) -> None:
    """Print batches."""
    if options.json:
        say_json([asdict(each) for each in found])
        return
    if getattr(options, "quiet", False):
        return
    if not found:
        say("no batch is on its way" + (f" of {options.model}" if options.model else ""))
    for each in found:
        came = (
            f"{each.stored:,} of {counted(each.texts, 'text')} in the cache"
            if each.ended
            else counted(each.texts, "text")
        )
        reason = f" ({each.reason})" if each.reason else ""
        say(f"{each.id or '-'}  {each.model}  {each.state}{reason}: {came}, {dollars(each.cost)}")


JOBS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "status": (run_status, "ask the vendors how far batches are"),
    "collect": (run_collect, "store finished batches' vectors in the cache; from any process, on any day"),
    "cancel": (run_cancel, "end batches early; what is finished by then is billed and can be collected"),
    "forget": (run_forget, "stop waiting for batches; their texts can be handed over again"),
    "list": (run_list, "list all batches, ended ones too, without asking the vendors"),
}
"""Name → what runs it, and what it does."""
