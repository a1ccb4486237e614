"""What both frameworks' classes for Jina mean in our options."""

from __future__ import annotations

from typing import Any

from embedbridge.catalogue import look_up

__all__ = ["jina_options"]


def jina_options(model: str, task: str | None, package: str) -> tuple[dict[str, Any], str]:
    """Options for a model whose every text has one task, or none; and what to warn of, "" for nothing.

    Args:
        model: its name.
        task: of queries and documents alike; None: none is sent.
        package: of the original.
    """
    fields = {"task": task} if task else {}
    card = look_up("jina", model)
    tasks = {role: name for role, name in card.adapters.items() if role in {"query", "document"}} if card else {}
    lost = {role: name for role, name in tasks.items() if name != task}
    told = " and ".join(f"{name!r} for a {role}" for role, name in lost.items())
    warning = (
        f"{model} has the task {told}, and {package} does not send that; nor does its stand-in: an index made with the "
        f"one serves the other. For a new index use the provider: BridgeEmbeddings(model='jina:{model}')"
    )
    options = {
        "model": f"jina:{model}",
        "too_long": "error",
        "provider_options": {"role_body": {"query": fields, "document": fields}},
    }
    return options, warning if lost else ""
