"""What is known of one model, as a value. Every fact comes from a TOML file of this package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from embedbridge._core.types import InputType

__all__ = ["Endpoint", "ModelCard", "Status", "Sure"]

Sure: TypeAlias = Literal["verified", "documented", "secondary", "memory"]
"""Read in the source or measured; stated by the vendor; stated by others; not looked up."""
Status: TypeAlias = Literal["current", "retired"]
"""Whether the vendor still serves the model."""
Endpoint: TypeAlias = Literal["", "contextual", "multimodal"]
"""The ordinary endpoint, or another that a model needs."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One row of the catalogue. None means that a fact is not known, never that it does not matter."""

    provider: str
    name: str
    aliases: tuple[str, ...] = ()
    dimensions: int | None = None
    max_tokens: int | None = None
    """Tokens of one text, prefix included; None: no limit is known."""
    served_tokens: int | None = None
    """Tokens that an Ollama server reads of one text by default; None: `max_tokens`."""
    request_tokens: int | None = None
    """Tokens summed over one request; None: no such limit is known."""
    prefixes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Role → exact text; the model's makers say nothing about a role that is absent."""
    task_template: str = ""
    """How a task described in words becomes a prefix: holds `{task}` once. Empty: the model takes no task."""
    task: str = ""
    """The task in the query prefix when the caller names none."""
    adapters: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By role, the model's own name for the weights that serve it (`task=` of Jina's models)."""
    reductions: tuple[int, ...] | range = ()
    """Dimensions that the model was trained to be reduced to, its own included; empty: it was not trained for it."""
    normalized: bool | None = None
    """Whether vectors arrive with unit length."""
    pooling: str = ""
    space: str = ""
    """Vectors of models with the same space can be compared with each other."""
    licence: str = ""
    price: float | None = None
    """Dollars per million tokens on `price_date`."""
    price_date: date | None = None
    endpoint: Endpoint = ""
    """The other endpoint that this model needs; empty: the ordinary one."""
    trust_remote_code: bool = False
    """The model brings code of its own that has to be run."""
    loads: str = ""
    """What keeps a local model from loading with the packages of today, and the way out; empty: nothing is known."""
    status: Status = "current"
    sure: Sure = "memory"
    from_memory: tuple[str, ...] = ()
    """Fields and roles of this card that nobody has looked up."""
    source: str = ""
    note: str = ""

    def prefix(self, input_type: InputType, task: str | None = None) -> str | None:
        """The exact text to put before every text of a role.

        Args:
            input_type: the role.
            task: an instruction in words. It replaces the model's own in every role but `document`, and is ignored
                where `task_template` is empty.

        Returns:
            "" where the model is known to want nothing, None where nothing is known of this role.
        """
        if task is not None and self.task_template and input_type != "document":
            return self.task_template.replace("{task}", task)
        return self.prefixes.get(input_type)
