"""`embedbridge migrate …`: an index moves to another model, measured first, and built beside the old one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from embedbridge import migration
from embedbridge._columns import beginning, room_for_text
from embedbridge._secrets import with_placeholders
from embedbridge.embedder import Embedder
from embedbridge.migration._measuring import bench_collection, bench_index

from ._budget import Budget
from .arguments import bar_is_off, embedder_options
from .common import Commands, counted, counting_bar, dollars, say, say_json, show_help
from .moving import SAMPLE, add_flags, check_batch, check_data, index_of
from .records import Source
from .scores import OWN, Row, plain, table

__all__ = ["add"]

EPILOG = """\
examples:
  embedbridge migrate plan chroma:folder#docs --to voyage:voyage-4
  embedbridge migrate bench --data dir --from ollama:bge-m3 --to voyage:voyage-4
  embedbridge migrate run chroma:folder#docs --to voyage:voyage-4 --max-cost 5
  embedbridge migrate check chroma:folder#docs --to voyage:voyage-4
  embedbridge migrate switch chroma:folder#docs
  embedbridge migrate back chroma:folder#docs"""
HELP = "move an index to another model, measured before, checked after, with a way back"


def add(commands: Commands) -> None:
    """Add the command and its own commands.

    Args:
        commands: of the command line.
    """
    parser = commands.add_parser("migrate", help=HELP, description=f"{HELP[0].upper()}{HELP[1:]}.", epilog=EPILOG)
    parser.set_defaults(run=lambda options: show_help(parser, options))
    steps = parser.add_subparsers(metavar="STEP")
    for name, (run, told) in STEPS.items():
        step = steps.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        add_flags(step, name)
        step.set_defaults(run=run)


def embedder_of(options: argparse.Namespace) -> Embedder:
    """The embedder of the new model."""
    return Embedder(**embedder_options(options) | {"show_progress": False})


OF_THE_NEW = {"dimensions", "query_prefix", "document_prefix", "base_url", "endpoints", "provider_options"}
"""Options that are meant for the new model alone."""


def run_plan(options: argparse.Namespace) -> int:
    """Say what it will take."""
    check_batch(options)
    own = embedder_options(options)
    with index_of(options) as index, Embedder(**with_placeholders(own, own["model"])) as embedder:
        tell(options, migration.plan(index, embedder))
    return 0


def run_bench(options: argparse.Namespace) -> int:
    """Measure both models. With judgements, the table is that of `embedbridge eval`."""
    check_data(options)
    check_batch(options)
    new = embedder_options(options) | {"show_progress": False}
    old = {name: value for name, value in new.items() if name not in OF_THE_NEW} | {"model": options.old}
    for each in (old, new):  # what is wrong with the new one is told before the old one is paid for
        Embedder(**each).close()
    widths = list[int]()

    def models(budget: Budget) -> Generator[Embedder]:
        for each in (old, new):
            with budget.embedder(each) as embedder:
                if options.data is not None:
                    widths.append(len(embedder.embed_documents(["dimensions"])[0]))
                yield embedder

    with Budget(options.max_cost) as budget, closing(models(budget)) as both:
        if options.data is not None:
            found = bench_collection(both, options.data)
        else:
            queries = None if options.queries is None else texts_of(options.queries)
            with index_of(options) as index:
                found = bench_index(both, index, queries, options.sample or SAMPLE)
    show_bench(options, found, widths)
    return 0


def show_bench(options: argparse.Namespace, found: migration.Bench, widths: Sequence[int]) -> None:
    """Print the table, how far both agree, and what to look at."""
    judged = [
        Row(model, OWN, width, each)
        for model, width, each in zip((options.old, options.model), widths, (found.old, found.new), strict=False)
        if each is not None
    ]
    shares = {"overlap@10": found.overlap, "rank_biased_overlap": found.rank_biased}
    if options.json:
        rows = [plain(row, judged[0]) for row in judged]
        told = {name: asdict(share) for name, share in shares.items()}
        say_json({"rows": rows, **told, "examples": [asdict(each) for each in found.examples]})
        return
    say(f"{found.documents:,} documents, {found.queries:,} queries")
    if judged:
        say(table(judged))
    for name, share in shares.items():
        say(f"{name}: {share.mean:.3f} [{share.low:.3f}, {share.high:.3f}]")
    for each in found.examples:
        say(f"\n{short(each.query)}")
        for name, texts in (("old", each.old), ("new", each.new)):
            for text in texts:
                say(f"  {name}  {short(text)}")


def run_run(options: argparse.Namespace) -> int:
    """Build the new index, under a bar."""
    check_batch(options, hands_over=True)
    if by_batch := options.batch is True:
        options.batch = None
    with (
        index_of(options) as index,
        embedder_of(left_of_the_budget(options, index.paid)) as embedder,
        counting_bar("document", "moving", off=bar_is_off(options)) as progress,
    ):
        done = migration.run(
            index,
            embedder,
            batch=by_batch,
            wait=options.wait,
            queue_tokens=options.queue_tokens,
            progress=progress,
        )
    if options.json:
        say_json(asdict(done))
    elif done.waiting:
        say(f"{counted(done.waiting, 'text')} with the batch API; run this again when it has answered")
    elif not options.quiet:
        say(
            f"{done.index} has {counted(done.documents, 'document')}: {done.written:,} written, {done.removed:,} taken "
            f"out; {counted(done.requests, 'request')}, {dollars(done.cost)}"
        )
    return 0


def left_of_the_budget(options: argparse.Namespace, paid: float) -> argparse.Namespace:
    """The options, with what is left of `--max-cost` after runs that did not come to their end."""
    if options.max_cost is not None and paid:
        left = max(0.0, options.max_cost - paid)
        say(
            f"{dollars(paid)} were paid by runs that did not come to their end: {dollars(left)} are left of --max-cost "
            f"{options.max_cost:g}",
            aside=True,
        )
        options.max_cost = left
    return options


def run_check(options: argparse.Namespace) -> int:
    """Compare. The exit status is 1 where something is wrong."""
    check_batch(options)
    with index_of(options) as index, embedder_of(options) as embedder:
        found = migration.check(index, embedder)
    tell(options, found)
    return 0 if found.ok else 1


def run_switch(options: argparse.Namespace) -> int:
    """Change names."""
    with index_of(options) as index:
        done = migration.switch(index)
    if options.json:
        say_json(asdict(done))
    else:
        say(f"{done.index} is asked with {done.model} now; the index before is kept as {done.kept}")
    return 0


def run_back(options: argparse.Namespace) -> int:
    """Change them back."""
    with index_of(options) as index:
        done = migration.back(index)
    if options.json:
        say_json(asdict(done))
        return 0
    kept = f"the new one is kept as {done.kept}" if done.kept else "no new one was written yet"
    say(f"{done.index} is the old index again; {kept}")
    if done.left_behind:
        say(f"{counted(done.left_behind, 'document')} differ in it, because they were written since the switch")
    return 0


def tell(options: argparse.Namespace, found: Any) -> None:
    """Print a value of the library's, as a page or for programs."""
    if options.json:
        say_json({name: str(each) if hasattr(each, "isoformat") else each for name, each in asdict(found).items()})
    else:
        say(str(found))


def texts_of(file: str) -> list[str]:
    """The texts of a file of any format that `embed` reads."""
    return [record.text for record in Source(file, None, None).entries(whole=False, blank=False)]


def short(text: str) -> str:
    """The beginning of a text, in one line."""
    return beginning(" ".join(text.split()), min(100, room_for_text() - 7))  # "  old  " stands before it


STEPS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "plan": (run_plan, "say what it costs and how long it takes; sends and writes nothing"),
    "bench": (run_bench, "measure the old model and the new one on judgements, or how far they agree"),
    "run": (run_run, "build the new index beside the old one; again, take what has changed since"),
    "check": (run_check, "compare documents and a sample of vectors"),
    "switch": (run_switch, "have the index's name mean the new one"),
    "back": (run_back, "have it mean the old one again"),
}
