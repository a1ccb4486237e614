"""Addresses and credentials of Azure, as both frameworks' classes take them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import SecretStr

__all__ = ["credential", "resource"]

Tokens = Callable[[], str | Awaitable[str]]


def resource(endpoint: str | None, deployment: str | None, version: str | None) -> dict[str, Any]:
    """The provider's options for where requests go."""
    return {"azure_endpoint": endpoint, "azure_deployment": deployment, "api_version": version}


def credential(
    own: dict[str, Any], token: SecretStr | None, tokens: tuple[Tokens | None, Tokens | None], key: Any
) -> dict[str, Any]:
    """Options for one credential, chosen as OpenAI's SDK chooses it: a token, else a function, else a key.

    Args:
        own: the provider's options without it.
        token: of the keyword or the environment.
        tokens: functions for calls in threads and in event loops.
        key: None: the environment's, Azure's own before OpenAI's.
    """
    provider = _either(*tokens)
    if token is not None or provider is not None:
        chosen = {"azure_ad_token": token} if token is not None else {"azure_ad_token_provider": provider}
        return {"provider_options": own | chosen}
    if key is None and not os.environ.get("AZURE_OPENAI_API_KEY"):
        key = os.environ.get("OPENAI_API_KEY") or None
    return {"provider_options": own, "api_key": key}


def _either(blocking: Tokens | None, tasks: Tokens | None) -> Tokens | None:
    """One function for both kinds of calls."""
    if blocking is None or tasks is None:
        return blocking or tasks

    def provide() -> str | Awaitable[str]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return blocking()
        return tasks()

    return provide
