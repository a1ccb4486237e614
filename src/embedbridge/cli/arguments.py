"""An embedder's options as command-line arguments. The key is not among them: other users can read command lines."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from embedbridge.catalogue.known import KnownModel
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions

from ._endpoints import as_pair, endpoint, endpoints_in, read_named
from ._parser import Parser, Plain

__all__ = [
    "Parser",
    "Plain",
    "add_embedder_arguments",
    "add_model_argument",
    "add_progress_argument",
    "as_pair",
    "bar_is_off",
    "complete_model",
    "embedder_options",
    "endpoints_in",
    "positive",
    "read_named",
]

LIMITS = {
    "--batch-size": (int, "TEXTS", "most texts per request"),
    "--concurrency": (int, "REQUESTS", "most requests at once"),
    "--requests-per-minute": (float, "REQUESTS", "most requests per minute"),
    "--tokens-per-minute": (float, "TOKENS", "most tokens per minute"),
    "--max-retries": (int, "TIMES", "retries after the first attempt"),
    "--timeout": (float, "SECONDS", "seconds per request"),
    "--max-cost": (float, "DOLLARS", "dollars; stop before a request would pass it"),
}


def add_embedder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add everything but the model, its dimensions and a reduction, which commands take once or several times.

    Args:
        parser: of a command.
    """
    add = parser.add_argument_group("texts and vectors").add_argument
    add("--normalize", action=argparse.BooleanOptionalAction, help="unit-length vectors")
    add("--query-prefix", metavar="TEXT", help="put before queries")
    add("--document-prefix", metavar="TEXT", help="put before documents")
    add(
        "--too-long",
        choices=("truncate", "error", "mean"),
        help=_with_default("too_long", "texts of more tokens than the model reads"),
    )
    add("--empty", choices=("error", "zero"), help=_with_default("empty", "empty and blank texts"))
    group = parser.add_argument_group("cache and batches")
    add = group.add_mutually_exclusive_group().add_argument
    add("--cache", metavar="WHERE", help="a directory or redis://… in place of the user's cache directory")
    add("--no-cache", dest="cache", action="store_false", default=None, help="neither read nor keep vectors")
    group.add_argument(
        "--batch",
        nargs="?",
        const=True,
        choices=("pay", "wait", "skip"),
        help="without a word (embed FILE, migrate run INDEX): hand the texts to the provider's batch API, at about "
        "half the price. With a word, what becomes of texts that a batch API has already: pay (ask for them now, at "
        "the full price), wait (for the batch) or skip (leave them out)" + _with_default("batch", ""),
    )
    add = parser.add_argument_group("limits").add_argument
    for flag, (kind, unit, told) in LIMITS.items():
        name = flag.removeprefix("--").replace("-", "_")
        add(flag, type=kind, metavar=unit, help=_with_default(name, told))
    add = parser.add_argument_group("the provider", "Keys are taken from the environment.").add_argument
    add("--base-url", metavar="URL", help="of the server, as the official SDK takes it")
    add(
        "--endpoint",
        dest="endpoints",
        action="append",
        type=endpoint,
        metavar="URL[,NAME=VALUE…]",
        help="one of several, each as URL,key_env=VARIABLE,weight=2; also requests_per_minute, tokens_per_minute, "
        "max_concurrency, headers, api_version, deployment, region; may be given more than once",
    )
    add("--endpoints", dest="endpoint_file", metavar="FILE.toml", help="the same as [[endpoints]] tables of a file")
    add(
        "--option",
        dest="provider_options",
        action="append",
        type=as_pair,
        metavar="NAME=VALUE",
        help="what only one provider knows, such as device=cuda; may be given more than once",
    )


def add_model_argument(group: argparse._ActionsContainer, told: str, **options: Any) -> None:
    """Add `-m`, whose value a shell completes with the models that are known.

    Args:
        group: of a command's arguments.
        told: what it means.
        **options: as of `add_argument`.
    """
    action: Any = group.add_argument("-m", "--model", metavar="PROVIDER:MODEL", help=told, **options)
    action.completer = complete_model


def complete_model(prefix: str, **_: object) -> Sequence[str]:
    """What a shell offers for the beginning of a model's name.

    Args:
        prefix: what was typed.
        _: what else argcomplete tells.

    Returns:
        Names.
    """
    return [name for name in get_args(KnownModel) if name.startswith(prefix)]


def embedder_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, as the library takes them.

    Args:
        arguments: of a parser with the embedder's arguments.

    Returns:
        Keyword arguments of an `Embedder`.

    Raises:
        ConfigurationError: a name of `--option` is given twice.
    """
    given = {name: getattr(arguments, name, None) for name in EmbedderOptions.model_fields}
    options = {name: value for name, value in given.items() if value is not None}
    if "provider_options" in options:
        options["provider_options"] = own = dict(options["provider_options"])
        if len(own) < len(arguments.provider_options):
            raise ConfigurationError("--option: one name is given twice")
    if (file := getattr(arguments, "endpoint_file", None)) is not None:
        if "endpoints" in options:
            raise ConfigurationError("--endpoint and --endpoints both name endpoints; leave one of them out")
        options["endpoints"] = endpoints_in(Path(file))
    if "endpoints" in options:
        options["endpoints"] = read_named(options["endpoints"])
    return options


def bar_is_off(arguments: argparse.Namespace) -> bool | None:
    """Whether a progress bar is drawn.

    Args:
        arguments: of a parser with `--progress`.

    Returns:
        The `disable` of tqdm: None disables the bar where there is no terminal.
    """
    return (
        True if getattr(arguments, "quiet", False) else None if arguments.progress is None else not arguments.progress
    )


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--progress`, `--no-progress` and `--quiet`.

    Args:
        parser: of a command.
    """
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="draw a bar (default: where there is a terminal)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="neither a bar nor a summary")


def positive(text: str) -> int:
    """A whole number above 0, as the `type` of an argument.

    Args:
        text: as it was typed.

    Returns:
        The number.

    Raises:
        ArgumentTypeError: it is something else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _with_default(name: str, told: str) -> str:
    default = EmbedderOptions.model_fields[name].default
    shown = f"{default:g}" if isinstance(default, float) else default
    return told if default is None else f"{told} (default: {shown})"
