"""An embedder's options as command-line arguments. The key is not among them: other users can read command lines."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from embedbridge._columns import columns_of, indented, room_for_text, wrapped
from embedbridge._endpoint_options import EndpointOptions, read_endpoints
from embedbridge.catalogue.known import KnownModel
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions

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

LONGEST_USAGE = 5
"""Lines of a usage with all flags; a longer one has only those that must be given."""
COMMON = """\
exit status:
  0, 1 for an error, 2 for a wrong call, 130 for Ctrl-C, 141 for a closed pipe

environment:
  OPENAI_API_KEY, VOYAGE_API_KEY …  keys, which are never arguments
  EMBEDBRIDGE_CACHE_DIR             where vectors are kept"""
"""Stands under the help of every command."""
AN_ENDPOINT = "write URL,key_env=VARIABLE (the key is in VARIABLE)"
"""What is wrong with an endpoint, where what was typed may be a key."""
LIMITS = {
    "--batch-size": (int, "TEXTS", "most texts per request"),
    "--concurrency": (int, "REQUESTS", "most requests at once"),
    "--requests-per-minute": (float, "REQUESTS", "most requests per minute"),
    "--tokens-per-minute": (float, "TOKENS", "most tokens per minute"),
    "--max-retries": (int, "TIMES", "retries after the first attempt"),
    "--timeout": (float, "SECONDS", "seconds per request"),
    "--max-cost": (float, "DOLLARS", "dollars; stop before a request would pass it"),
}


class Plain(argparse.HelpFormatter):
    """Wraps what a flag is for to the terminal; of the examples below it breaks only the lines that are too long."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.endswith(COMMON):
            return super()._fill_text(text, width, indent)
        return "\n".join(_broken(line, room_for_text(width)) for line in text.splitlines())

    def _format_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None) -> str:
        told = super()._format_usage(usage, actions, groups, prefix)
        if usage is None and told.count("\n") <= LONGEST_USAGE:  # argparse has wrapped its own
            return told
        if usage is None:  # each flag stands below, with what it means
            needed = [action for action in actions if action.required or not action.option_strings]
            words = super()._format_usage(None, needed, (), prefix).split()
            told = " ".join([*words, "[options]"])
        head = "usage: "
        return indented(head, told.removeprefix(head).strip(), self._width) + "\n\n"


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
        **options: as of `argparse.ArgumentParser`; `epilog` has examples.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["epilog"] = "\n\n".join(filter(None, (options.get("epilog"), COMMON)))
        super().__init__(*arguments, **options | {"formatter_class": Plain})
        self.register("action", None, Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of argparse, but a command refuses by itself what it does not know, so that its own help is named."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the call in two lines, and end the process with status 2."""
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(wrong[1], re.findall(r"[\w.:-]+", wrong[2]), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        self.exit(2, f"error: {message}\nsee: {self.prog} --help\n")


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
        type=_endpoint,
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


def endpoints_in(file: Path) -> list[dict[str, Any]]:
    """The endpoints in a file.

    Args:
        file: TOML with `[[endpoints]]` tables.

    Returns:
        One entry for each.

    Raises:
        ConfigurationError: it cannot be read, or holds something else.
    """
    try:
        held = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"--endpoints: {str(file)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML, or not UTF-8
        raise ConfigurationError(f"--endpoints: {str(file)!r} is no TOML ({type(error).__name__})") from None
    found = held.get("endpoints")
    if set(held) != {"endpoints"} or not isinstance(found, list):
        raise ConfigurationError(f"--endpoints: {str(file)!r} holds [[endpoints]] tables and nothing else")
    if any(isinstance(entry, dict) and "api_key" in entry for entry in found):
        raise ConfigurationError(
            "--endpoints: a file must not hold a key; write key_env with the name of an environment variable"
        )
    return found


def read_named(endpoints: list[dict[str, Any]]) -> tuple[EndpointOptions, ...]:
    """Endpoints as options take them.

    Args:
        endpoints: one entry for each.

    Returns:
        The same, checked.

    Raises:
        ConfigurationError: one of them cannot be.
    """
    try:
        return read_endpoints(endpoints) or ()
    except ValueError as error:
        raise ConfigurationError(f"--endpoint: {error}") from None


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


def _broken(line: str, room: int) -> str:
    """A line of an epilog: a command goes on after a backslash, as a shell reads it, other words below their own."""
    if columns_of(line) <= room:
        return line
    words = line.strip()
    if words.startswith(("embedbridge ", "cat ")):
        return "  " + " \\\n    ".join(wrapped(words, room - 6))
    name, gap, told = words.partition("  ")
    return indented(
        f"  {name}{gap}{' ' * (len(told) - len(told.lstrip()))}" if gap else "  ", told.lstrip() or name, room
    )


def _with_default(name: str, told: str) -> str:
    default = EmbedderOptions.model_fields[name].default
    shown = f"{default:g}" if isinstance(default, float) else default
    return told if default is None else f"{told} (default: {shown})"


def _endpoint(text: str) -> dict[str, Any]:
    url, *own = (part.strip() for part in text.split(","))
    found = {"base_url": url} if url else {}
    for each in own:
        name, equals, value = each.partition("=")
        if not (equals and name.isidentifier()) or name in {"api_key", "base_url"}:
            raise argparse.ArgumentTypeError(AN_ENDPOINT)
        if name not in EndpointOptions.model_fields:
            (near,) = difflib.get_close_matches(name, EndpointOptions.model_fields, n=1) or [""]
            raise argparse.ArgumentTypeError(f"for {name!r} write {near}" if near else AN_ENDPOINT)
        if name in found:
            raise argparse.ArgumentTypeError(f"{name} is given twice")
        if name == "key_env" and not value.isidentifier():
            raise argparse.ArgumentTypeError(AN_ENDPOINT)
        found[name] = value if name == "key_env" else as_pair(each)[1]
    if not found or "=" in url.partition("?")[0]:
        raise argparse.ArgumentTypeError(AN_ENDPOINT)
    if url and "://" not in url:
        raise argparse.ArgumentTypeError("write http:// or https:// before the host")
    return found


def as_pair(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, as the `type` of an argument.

    Args:
        text: as it was typed.

    Returns:
        Name and value; a value that is JSON is read as such.

    Raises:
        ArgumentTypeError: it is something else.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
