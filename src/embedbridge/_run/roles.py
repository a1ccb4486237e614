"""The roles of an embedder's model: the prefix or input type of each, and what to tell the user about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from embedbridge._core.keys import KeyRules, key_rules
from embedbridge._core.prepare import is_utf8
from embedbridge._core.routing import choose_route
from embedbridge._core.shared import Role, Shared
from embedbridge._core.types import Identity, InputType, Route
from embedbridge.catalogue import ModelCard
from embedbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from embedbridge.options import EmbedderOptions
    from embedbridge.providers import BaseProvider

    from .parts import Parts

PREFIXED = frozenset({"sentence-transformers", "ollama", "openai", "tei"})
"""Providers whose models may need prefixes that only we can add."""

ROLES_OUT = {"tei": "leave out prompt_name"}
"""How fields of a role are left out, by provider; of any other by `role_body`."""


def take_task(
    own: dict[str, Any], kind: type[BaseProvider], card: ModelCard | None, options: EmbedderOptions
) -> str | None:
    """The `task` out of the provider's own options, unless the provider has one of its own.

    Raises `ConfigurationError` for a model that takes no instruction, and where a prefix says otherwise.
    """
    task = None if "task" in kind.options_type.model_fields else own.pop("task", None)
    if task is None:
        return None
    if not isinstance(task, str) or not task.strip() or not is_utf8(task):
        raise ConfigurationError(
            "provider_options: task is an instruction in words, such as 'Find the law that applies'"
        )
    if card is None:
        raise ConfigurationError(
            f"{options.model} is not in the catalogue, so the form in which it reads a task is not known; "
            "write the whole instruction into query_prefix"
        )
    if not card.task_template:
        raise ConfigurationError(f"{options.model} takes no task; leave it out, or write a query_prefix of your own")
    if options.query_prefix is not None:
        raise ConfigurationError("task and query_prefix both say what goes before a query; leave one of them out")
    return task


def find_route(parts: Parts, input_type: InputType, *, saved: Mapping[str, str]) -> Route:
    """The route of a role. `saved` are the prompts that come with the model; a task replaces all but the document's."""
    options, provider, card = parts.options, parts.provider, parts.card
    option = {"query": options.query_prefix, "document": options.document_prefix}.get(input_type)
    wire_type, roles_from = provider.wire_type(input_type), provider.roles_from
    if roles_from:
        return _by_fields(parts, input_type, option, wire_type)
    return choose_route(
        input_type,
        option=option,
        wire_type=wire_type,
        prefix_with_wire_type=provider.prefix_with_wire_type,
        saved={} if parts.task and input_type != "document" else saved,
        catalogue=card.prefix(input_type, parts.task) if card and provider.follows_catalogue(input_type) else None,
    )


def find_role(parts: Parts, shared: Shared, input_type: InputType) -> Role:
    """The route of a role, and the rules of its keys."""
    route = find_route(parts, input_type, saved=parts.provider.prompts())
    full = shared.full_width
    role = _role(parts.provider, shared, route, shared.identity, full and full[0])
    alone = {each.provider.identity: each.provider for each in parts.members}
    alone.pop(shared.identity, None)
    members = {}
    for identity, provider in alone.items():
        full = shared.full_width and provider.full_width()
        members[identity] = _role(provider, shared, route, identity, full and full[0])
    return replace(role, members=members, titled=title_form(parts, route))


def _role(provider: BaseProvider, shared: Shared, route: Route, identity: Identity, full: Identity | None) -> Role:
    def rules(named: Identity) -> KeyRules:
        former, whole = provider.former_details(named)
        return key_rules(
            named,
            wire_type=route.wire_type,
            policy=shared.policy,
            limit=shared.limits.text_tokens,
            prefix=route.prefix,
            prefix_apart=provider.prefix_apart,
            former=former if whole else None,
        )

    return Role(route, rules(identity), rules(full) if full else None)


def title_form(parts: Parts, route: Route) -> str:
    """How the title of a document is written in place of its prefix; "" where the model, as it is used, reads none."""
    card = parts.card
    if card is None or route.input_type != "document":
        return ""
    return card.titled if route.wire_type or route.prefix == card.prefix("document") else ""


def _by_fields(parts: Parts, input_type: InputType, prefix: str | None, fields: str | None) -> Route:
    """The route of a role where all roles are told by fields of the request: none that is not named has a prefix."""
    if fields and (prefix or (parts.task and input_type != "document")):
        name = f"{input_type}_prefix" if prefix else "task"
        raise ConfigurationError(
            f"the fields {fields} of the request name the role, and {name} would say it twice: leave {name} out, or "
            + ROLES_OUT.get(
                parts.provider.name, "pass provider_options={'role_body': {}} for a server that takes no role"
            )
        )
    return Route(input_type, prefix or "", fields, "option" if prefix else parts.provider.roles_from)


def unlisted(parts: Parts, route: Route) -> str | None:
    """A message for the user of a model whose prefixes are not known; None where there is nothing to say."""
    options = parts.options
    told = options.query_prefix is not None or options.document_prefix is not None
    told |= not parts.provider.follows_catalogue(route.input_type)
    known = parts.card is not None and bool(parts.card.prefixes)
    if known or told or route.source != "none" or parts.provider.name not in PREFIXED:
        return None
    what = "not in the catalogue" if parts.card is None else "in the catalogue without prefixes"
    if any(parts.provider.prompts().values()):
        return (
            f"{options.model} is {what} and brings no prompt for the role {route.input_type!r}: such "
            "texts are sent to it as they are. If it wants a prefix for them, put it there, or use another of its roles"
        )
    return (
        f"{options.model} is {what} and brings no prompts: texts are sent to it as they are. If it wants "
        'prefixes, set query_prefix and document_prefix; "" says that it wants none'
    )
