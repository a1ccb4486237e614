"""NVIDIA's retrieval models: its hosted API, and NIM containers of one's own. OpenAI's wire, and two fields besides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from embedbridge._core.kinds import Kind
from embedbridge._core.types import Identity, InputType, Limits
from embedbridge.errors import ConfigurationError, RequestFailed

from ._openai_wire import WireOptions, WireProvider
from ._server_identity import told
from .base import ProviderConfig

__all__ = ["NvidiaOptions", "NvidiaProvider"]

INPUT_TYPES = {"query": "query", "document": "passage"}
"""The API has none for other roles."""
SMALL_REQUEST = 50
"""Texts in a request, as NVIDIA's own LangChain package sends; what a server takes at most is not documented."""
USUAL_TEXT = 2048
"""Tokens in a request, for each text that it may hold."""
NO_TYPE = (
    "NVIDIA has input types for queries and documents alone; say which one another role is to have, "
    "provider_options={'role_body': {'clustering': {'input_type': 'passage'}}}"
)
ENDINGS = ("-query", "-passage")
"""What says the role in a model's name, for clients that cannot send fields."""


class NvidiaOptions(WireOptions):
    """What only NVIDIA's API knows."""

    truncate: Literal["START", "END"] = "END"
    """Which end the server drops of a text that is too long, where `too_long` lets it."""


class NvidiaProvider(WireProvider):
    """`nvidia:nvidia/llama-nemotron-embed-1b-v2`; a NIM of one's own by `base_url` or NVIDIA_BASE_URL, also keyless."""

    name = "nvidia"
    extra = "nvidia"
    key_variables = ("NVIDIA_API_KEY",)
    options_type = NvidiaOptions
    official_url = "https://integrate.api.nvidia.com/v1"
    role_field = "input_type"
    owned: ClassVar[Mapping[str, str]] = {
        "model": "the model's name after 'nvidia:'",
        "input": "the texts of the call",
        "input_type": "input_type=… of a call, or role_body",
        "encoding_format": "provider_options={'encoding_format': …}",
        "truncate": "too_long=… and provider_options={'truncate': …}",
    }

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        ending = next(filter(self.model.endswith, ENDINGS), None)
        if ending is not None:
            short = self.model.removesuffix(ending)
            raise ConfigurationError(f"{self.model}: every request says its role; write nvidia:{short}")
        if self._start() and config.too_long != "truncate":
            raise ConfigurationError(f"provider_options: truncate has no effect with too_long={config.too_long!r}")

    def find_url(self) -> str | None:
        """`base_url`, else what NVIDIA's own clients take from the environment."""
        return self.config.base_url or os.environ.get("NVIDIA_BASE_URL") or None

    def choose_key(self) -> SecretStr | None:
        """None for a NIM of one's own that asks for none."""
        try:
            return super().choose_key()
        except ConfigurationError:
            if self.url is None or (urlsplit(self.url).hostname or "").endswith("api.nvidia.com"):
                raise
            return None

    @property
    def limits(self) -> Limits:
        """Small requests. What the server is to drop at a text's beginning is not dropped here at its end."""
        card, items = self.config.card, 1 if self.options.single else self.options.request_items
        text_tokens = card.max_tokens if card and not self._start() else None
        most = items or SMALL_REQUEST
        tokens = max(most * USUAL_TEXT, text_tokens or 0)
        return Limits(items=most, tokens=tokens, text_tokens=text_tokens, cuts_unseen=True, guessed=items is None)

    def role(self, input_type: InputType) -> str | None:
        """Queries and documents have one."""
        return INPUT_TYPES.get(input_type)

    def truncation(self) -> str:
        """A server that is told nothing refuses."""
        return self.options.truncate if self.config.too_long == "truncate" else "NONE"

    def explained(self, failure: RequestFailed) -> RequestFailed:
        """What to do for a role that the API has not, where the model wants one."""
        if failure.status in {400, 422} and "input_type" in f"{failure.param} {failure}":
            failure.kind = Kind.CONFIGURATION
            failure.args = (f"{failure} - {NO_TYPE}",)
        return failure

    @property
    def identity(self) -> Identity:
        """As of every API; and which end of a text is read."""
        return replace(super().identity, long_details=tuple(told(self._start())))

    def length_asked(self) -> tuple[str, ...]:
        """Which end, where the user says it."""
        return tuple(told(self._start()))

    def _start(self) -> dict[str, str]:
        return {"truncate": "START"} if self.options.truncate == "START" else {}
