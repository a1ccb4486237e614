"""The endpoints of `--endpoint` and `--endpoints`. A key is in neither: its variable is named."""

from __future__ import annotations

import argparse
import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

from embedbridge._endpoint_options import EndpointOptions, read_endpoints
from embedbridge.errors import ConfigurationError

AN_ENDPOINT = "write URL,key_env=VARIABLE (the key is in VARIABLE)"
"""What is wrong with an endpoint, where what was typed may be a key."""


def endpoint(text: str) -> dict[str, Any]:
    """`URL,NAME=VALUE…`, as the `type` of an argument. Raises `ArgumentTypeError`; what may be a key is not shown."""
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
