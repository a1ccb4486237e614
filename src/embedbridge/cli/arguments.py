"""An embedder's options as command-line arguments. The key is not among them: other users can read command lines."""

from __future__ import annotations

import argparse
import json
from typing import Any

from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions

__all__ = [
    "Parser",
    "Plain",
    "add_embedder_arguments",
    "add_progress_argument",
    "bar_is_off",
    "embedder_options",
    "positive",
]

NUMBERS = {
    "--batch-size": (int, "TEXTS", "most texts per request"),
    "--concurrency": (int, "REQUESTS", "most requests at once"),
    "--requests-per-minute": (float, "REQUESTS", "most requests per minute"),
    "--tokens-per-minute": (float, "TOKENS", "most tokens per minute"),
    "--max-retries": (int, "TIMES", "retries after the first attempt"),
    "--timeout": (float, "SECONDS", "seconds per request"),
    "--max-cost": (float, "DOLLARS", "dollars; stop before a request would pass it"),
}


class Plain(argparse.HelpFormatter):
    """Wraps what a flag is for to the terminal, and leaves the examples below as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(("examples:", "exit status:")) else super()._fill_text(text, width, indent)


class Once(argparse.Action):
    """Stores a value as argparse does, and refuses a second one, of which it would keep the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value, unless there is one."""
        given = vars(namespace).setdefault("given", set())
        if option_string is not None and self.dest in given:
            parser.error(f"argument {option_string}: it is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser, and the base of its commands' parsers, whose arguments are given once.

    Args:
        *arguments: as of `argparse.ArgumentParser`.
        **options: as of `argparse.ArgumentParser`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("action", None, Once)


def add_embedder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add everything but `--model`, `--dimensions` and `--reduction`, which commands take once or several times.

    Args:
        parser: of a command.
    """
    group = parser.add_argument_group(
        "the embedder", "As in the library, with its defaults. Keys are taken from the environment."
    )
    add, add_cache = group.add_argument, group.add_mutually_exclusive_group().add_argument
    add("--normalize", action=argparse.BooleanOptionalAction, help="unit-length vectors")
    add("--query-prefix", metavar="TEXT", help="put before queries")
    add("--document-prefix", metavar="TEXT", help="put before documents")
    add(
        "--too-long",
        choices=("truncate", "error", "mean"),
        help=_with_default("too_long", "texts of more tokens than the model reads"),
    )
    add("--empty", choices=("error", "zero"), help=_with_default("empty", "empty and blank texts"))
    add_cache("--cache", metavar="WHERE", help="a directory or redis://… in place of the user's cache directory")
    add_cache("--no-cache", dest="cache", action="store_false", default=None, help="neither read nor keep vectors")
    add(
        "--batch",
        nargs="?",
        const=True,
        choices=("pay", "wait", "skip"),
        help=_with_default("batch", "texts that a batch API has: ask for them at once, wait for them, leave them out")
        + "; without a word, after FILE of embed or INDEX of migrate run: hand the texts to the batch API",
    )
    for flag, (kind, unit, told) in NUMBERS.items():
        name = flag.removeprefix("--").replace("-", "_")
        add(flag, type=kind, metavar=unit, help=_with_default(name, told))
    add("--base-url", metavar="URL", help="as the official SDK takes it")
    add(
        "--option",
        dest="provider_options",
        action="append",
        type=_pair,
        metavar="NAME=VALUE",
        help="what only one provider knows, such as device=cuda; may be given more than once",
    )


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


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
