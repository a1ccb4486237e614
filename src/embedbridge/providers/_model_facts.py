"""What an embedder asks a provider about its model; most of it has an answer where a provider leaves it out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from embedbridge._core.tokens import Bound, ByteCounter, Counter
from embedbridge._core.types import Identity, InputType, Limits
from embedbridge.catalogue import ModelCard

if TYPE_CHECKING:
    from .base import ProviderConfig


class ModelFacts:
    """The part of every provider that knows its model: limits, dimensions, roles, prompts and tokens."""

    config: ProviderConfig
    model: str

    @property
    def prefix_apart(self) -> bool:
        """Whether the model treats the prefix differently from the text, so that a cache key must name it."""
        return False

    @property
    def limits(self) -> Limits:
        """What one request may hold."""
        return Limits(text_tokens=self.config.card.max_tokens if self.config.card else None)

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """Whether the API itself can give vectors of fewer dimensions.

        Args:
            model: the name after the colon.
            card: the catalogue's row for it, if it has one.

        Returns:
            True: an embedder with `dimensions` asks the API for them.
        """
        return False

    @property
    def reduces_itself(self) -> bool:
        """`reduces`, with this provider's own options."""
        return self.reduces(self.model, self.config.card)

    @property
    def roles_from(self) -> str:
        """Who tells the server all roles by fields of the request: `option` or `host`; "" where it is as usual."""
        return ""

    def counter(self) -> Counter:
        """What measures texts that may be too long.

        Returns:
            The model's tokenizer; an estimate by bytes where there is none.
        """
        return ByteCounter()

    @property
    def bound(self) -> Bound:
        """How many tokens can be billed for a text at most."""
        return Bound()

    def billed_by(self) -> Counter | None:
        """What counts the tokens that are billed.

        Returns:
            None where that tokenizer is not known, or not on this machine.
        """
        return None

    def counter_name(self) -> str:
        """The name of `counter`, known without loading a model.

        Returns:
            As in `Report.counter`.
        """
        return self.counter().name

    def width(self) -> int | None:
        """How many dimensions the vectors have as the provider gives them.

        Returns:
            None where that is not known before the first answer.
        """
        return self.config.dimensions or (self.config.card.dimensions if self.config.card else None)

    def full_width(self) -> tuple[Identity, int] | None:
        """What makes cached vectors of more dimensions usable.

        That is so where vectors of more dimensions, truncated to fewer and brought to unit length, are those of this
        provider.

        Returns:
            The identity and the dimensions of the larger vectors; None where nobody has documented that.
        """
        return None

    def reductions(self) -> Collection[int]:
        """To how few dimensions the model was trained to be reduced.

        It is asked where the catalogue has no card of the model.

        Returns:
            Numbers of dimensions; none: it was not trained for it.
        """
        return ()

    def wire_type(self, input_type: InputType) -> str | None:
        """The request's own name for a role.

        Args:
            input_type: the role.

        Returns:
            What `batch.route.wire_type` then holds; None where the API has no such field, and prefixes do it.
        """
        return None

    @property
    def unit_length(self) -> bool | None:
        """Whether vectors arrive with unit length; None: not known."""
        return self.config.card.normalized if self.config.card else None

    def resolve(self) -> None:
        """Make sure that identity, prompts and limits are known, before a call asks for them; it may take long."""

    @property
    def known_offline(self) -> bool:
        """Whether the model's own prompts, limits and width can be known without a network."""
        return True

    def prompts(self) -> Mapping[str, str]:
        """Prefixes that are saved with the model.

        Returns:
            Prefix by role.
        """
        return {}

    def follows_catalogue(self, input_type: InputType) -> bool:
        """Whether a role that the model brings no prompt for has the catalogue's.

        Args:
            input_type: the role.

        Returns:
            True, unless the provider knows better.
        """
        return True
