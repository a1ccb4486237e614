"""Reads the TOML files, each once and only when asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from embedbridge._core.prepare import check_word
from embedbridge._files import read_own

from .card import ModelCard

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COMPATIBLE", "DEFAULT_MODEL", "PROVIDERS", "VENDORS", "cards"]

DEFAULT_MODEL = "local:all-MiniLM-L6-v2"
"""The model of an embedder that is given none: small, local and free."""
COMPATIBLE = ("mistral", "nvidia", "dashscope")
"""Vendors whose own models are reached by `openai:` too, at their address or through a gateway."""
VENDORS = ("openai", "gemini", *COMPATIBLE)
"""Vendors of the models that OpenAI's API gives narrower itself where they can be."""
PROVIDERS = (
    *("openai", "voyage", "bedrock", "cohere", "gemini", "vertex", *COMPATIBLE, "jina", "ollama"),
    "sentence-transformers",
)
"""Providers that have a file."""


def cards(provider: str | None = None) -> Iterator[ModelCard]:
    """Every card, or those of one provider.

    Args:
        provider: its canonical name; None: all.

    Yields:
        Cards in the file's order; none for a provider without a file.
    """
    if provider is not None:
        check_word("provider", provider)
    for known in PROVIDERS:
        if provider in (None, known):
            yield from _read(known)


@cache
def _read(provider: str) -> tuple[ModelCard, ...]:
    import tomllib

    data = tomllib.loads(read_own(__package__, f"{provider.replace('-', '_')}.toml"))
    return tuple(_card(provider, name, data["defaults"] | row, data["prompts"]) for name, row in data["models"].items())


def _card(provider: str, name: str, facts: dict[str, Any], prompts: dict[str, dict[str, str]]) -> ModelCard:
    prefixes = dict(prompts[facts.pop("prompts")]) if "prompts" in facts else {}
    template = prefixes.pop("task_template", "")
    task = facts.pop("task", prefixes.pop("task", ""))
    titled = facts.pop("titled", prefixes.pop("titled", ""))
    if template:
        prefixes["query"] = template.replace("{task}", task)
    reductions = facts.pop("reductions", [])
    if isinstance(reductions, dict):
        reductions = range(reductions["min"], reductions["max"] + 1, reductions.get("step", 1))
    if "price" not in facts:
        facts.pop("price_date", None)
    return ModelCard(
        provider=provider,
        name=name,
        aliases=tuple(facts.pop("aliases", ())),
        prefixes=prefixes,
        task_template=template,
        task=task,
        titled=titled,
        reductions=reductions if isinstance(reductions, range) else tuple(reductions),
        from_memory=tuple(facts.pop("from_memory", ())),
        source=facts.pop("source").replace("{name}", name),
        **facts,
    )
