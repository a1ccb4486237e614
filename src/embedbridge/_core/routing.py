"""How the model is told a role: by the API's input type, by the prompt saved with it, or by the catalogue's prefix.

It is exactly one of these. A prefix that the user sets as an option replaces the last two.
"""

from __future__ import annotations

from collections.abc import Mapping

from embedbridge.errors import ConfigurationError

from .types import InputType, Route

SAVED_NAMES: Mapping[InputType, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
    "classification": ("classification", "Classification"),
    "clustering": ("clustering", "Clustering"),
}
"""Role → the names under which models save its prompt."""


def choose_route(
    input_type: InputType,
    *,
    option: str | None,
    wire_type: str | None,
    prefix_with_wire_type: bool = False,
    saved: Mapping[str, str],
    catalogue: str | None,
) -> Route:
    """The route of one role. Raises `ConfigurationError` for a prefix where the API has an input type for it.

    Args:
        input_type: the role.
        option: the user's prefix, "" for none, or None.
        wire_type: the request's own input type, where the API has them.
        prefix_with_wire_type: whether a prefix may be sent together with `wire_type`, which then only chooses a method
            or weights.
        saved: prompts that come with the model.
        catalogue: the catalogue's prefix; None where it says nothing.
    """
    if wire_type is not None and not prefix_with_wire_type:
        if option:
            raise ConfigurationError(
                f"this API is told the role by its own input type ({wire_type!r}), and a prefix would say it twice: "
                f"leave {input_type}_prefix out"
            )
        return Route(input_type, "", wire_type, "api")
    if option is not None:
        return Route(input_type, option, wire_type, "option")
    prompt = next((saved[name] for name in SAVED_NAMES[input_type] if saved.get(name)), "")
    if prompt:
        return Route(input_type, prompt, wire_type, "model")
    return Route(input_type, catalogue or "", wire_type, "none" if catalogue is None else "catalogue")
