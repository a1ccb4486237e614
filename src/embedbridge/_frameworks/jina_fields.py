"""What both frameworks' classes for Jina mean in our options."""

from __future__ import annotations

from typing import Any

from embedbridge.catalogue import look_up

from .stand_in import StandIn

__all__ = ["jina_options"]


def jina_options(stand_in: StandIn, model: str, task: str | None) -> dict[str, Any]:
    """Options for a model whose every text has one task, or none, and a warning where that is another than its own.

    Args:
        stand_in: which warns.
        model: its name.
        task: of queries and documents alike; None: none is sent.
    """
    fields = {"task": task} if task else {}
    card = look_up("jina", model)
    tasks = {role: name for role, name in card.adapters.items() if role in {"query", "document"}} if card else {}
    lost = {role: name for role, name in tasks.items() if name != task}
    if lost and stand_in.model_fields_set:
        told = " and ".join(f"{name!r} for a {role}" for role, name in lost.items())
        stand_in._say(  # noqa: SLF001 - our own
            f"{model} has the task {told}, and {stand_in.package} does not send that; nor does its stand-in: an index "
            "made with the one serves the other. For a new index use the provider: "
            f"BridgeEmbeddings(model='jina:{model}')"
        )
    return {
        "model": f"jina:{model}",
        "too_long": "error",
        "provider_options": {"role_body": {"query": fields, "document": fields}},
    }
