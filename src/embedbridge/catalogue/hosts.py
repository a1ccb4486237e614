"""What is known of servers that speak OpenAI's API: their limits, and the fields that they want. All of it is data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import urlsplit

from embedbridge._core.prepare import check_word
from embedbridge._files import read_own

if TYPE_CHECKING:
    from embedbridge._core.types import InputType

    from .card import Sure

__all__ = ["Host", "RoleFields", "find_host", "hosts"]

RoleFields: TypeAlias = "Mapping[InputType, Mapping[str, Any]]"
"""Role → fields of a request."""


@dataclass(frozen=True, slots=True)
class Host:
    """One vendor's server. None means that a fact is not known."""

    name: str
    title: str
    hosts: tuple[str, ...]
    url: str
    """What a user writes as `base_url`."""
    items: int | None = None
    """The most texts of a request."""
    tokens: int | None = None
    """The most tokens summed over a request."""
    dimensions_field: str | None = None
    """The field that asks for fewer dimensions; None: `dimensions`."""
    encoding_format: str | None = None
    """The only one that the server takes."""
    roles: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    sure: Sure = "memory"
    source: str = ""
    note: str = ""

    def roles_of(self, model: str) -> RoleFields:
        """The fields that name the role of a model's texts.

        Args:
            model: as the host names it.

        Returns:
            Role → fields of a request; empty where prefixes do it.
        """
        for row in self.roles:
            if model in row.get("models", [model]):
                return cast("RoleFields", {role: fields for role, fields in row.items() if role != "models"})
        return {}

    def told(self, model: str) -> str:
        """One line: what is recognised, and what follows for a model.

        Args:
            model: as the host names it.

        Returns:
            The line, with how certain it is.
        """
        names = sorted({name for fields in self.roles_of(model).values() for name in fields})
        facts = {
            f"at most {self.items} texts per request": self.items,
            f"at most {self.tokens} tokens per request": self.tokens,
            f"roles by the field {' and '.join(names)}": names,
            f"dimensions as {self.dimensions_field}": self.dimensions_field,
            f"vectors as {self.encoding_format}": self.encoding_format,
            self.note: self.note,
        }
        what = "; ".join(fact for fact, known in facts.items() if known) or "no limit or field of its own is known"
        return f"the server is {self.title}: {what} ({self.sure})"


def hosts() -> Iterator[Host]:
    """Every known host.

    Yields:
        Hosts in the file's order.
    """
    yield from _read()


def find_host(url: str) -> Host | None:
    """What is known of the server at an address.

    Args:
        url: any address.

    Returns:
        None for a host whose name is not listed exactly.
    """
    check_word("url", url)
    name = (urlsplit(url).hostname or "").lower()
    return next((host for host in _read() if name in host.hosts), None)


@cache
def _read() -> tuple[Host, ...]:
    import tomllib

    data = tomllib.loads(read_own(__package__, "hosts.toml"))
    return tuple(_host(name, row) for name, row in data.items())


def _host(name: str, row: dict[str, Any]) -> Host:
    return Host(name, **row | {key: tuple(row.get(key, ())) for key in ("hosts", "roles")})
