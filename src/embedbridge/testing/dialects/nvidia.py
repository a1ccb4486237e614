"""NVIDIA's hosted API and NIM containers: OpenAI's wire with roles, under `/nvidia/v1`."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from embedbridge.testing.limits import Limits
from embedbridge.testing.published import Pages
from embedbridge.testing.quirks import find_quirks
from embedbridge.testing.request import Request

from .quirky import Quirky

__all__ = ["Nvidia"]

TEXT_TOKENS = {"nvidia/nv-embedqa-e5-v5": 512}
"""Of models that read less of a text than the others."""


class Nvidia(Quirky):
    """The quirk `nim`, with the models and limits of the hosted API."""

    name: ClassVar[str] = "nvidia"
    width: ClassVar[int] = 2048
    widths: ClassVar[Mapping[str, int]] = {"nvidia/nv-embedqa-e5-v5": 1024}
    limits: ClassVar[Limits] = Limits(259, 8192, None)

    def __init__(self) -> None:
        super().__init__(find_quirks(["nim"]))

    def text_limit(self, request: Request, limits: Limits) -> int | None:
        return TEXT_TOKENS.get(request.model) or super().text_limit(request, limits)

    def pages(self, limits: Limits) -> Pages:
        models = [{"id": name, "object": "model"} for name in ("nvidia/llama-nemotron-embed-1b-v2", *self.widths)]
        return {("GET", "/v1/models"): lambda _: {"object": "list", "data": models}}
