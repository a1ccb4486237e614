"""A stand-in for `langchain_aws.BedrockEmbeddings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from pydantic import Field, SecretStr

from embedbridge._frameworks.bedrock_fields import (
    CREDENTIALS,
    NO_PURPOSES,
    NO_PURPOSES_TOLD,
    foundation,
    is_nova,
    request_options,
)
from embedbridge._frameworks.keywords import CLIENT, Ours, of_keyword, secret
from embedbridge._frameworks.stand_in import StandIn, ano_media, no_media
from embedbridge.errors import ConfigurationError

from .face import LangChainFace

__all__ = ["BedrockEmbeddings"]


class BedrockEmbeddings(StandIn, LangChainFace):
    """For `langchain_aws.BedrockEmbeddings`: its keywords, attributes and vectors.

    Honoured: region_name, credentials_profile_name, aws_access_key_id, aws_secret_access_key, aws_session_token,
    model_id, model_kwargs, endpoint_url, normalize, dimensions; and AWS's own variables and files.
    Mapped: truncate of model_kwargs is too_long; left out, a text that is too long is an error, but for Nova.
    Idle, with a warning: provider, which the model's name says; an access key beside credentials_profile_name.
    AWS_SESSION_TOKEN goes with an access key that is given, unless the environment has it for another one.
    Refused: client, config, a provider that the model's name does not say; images, audio and video; assigning
    normalize, or anything else, to an object: take a copy, by model_copy(update={"normalize": True}).
    Nova is asked without roles, as by the original, with a warning. Two things differ: line breaks of a text are
    kept, and texts that go one per request go several at once.
    """

    package = "langchain-aws"
    provider = "bedrock"
    synonyms: ClassVar[Mapping[str, str]] = {
        "model": "model_id",
        "provider": "model_provider",
        "base_url": "endpoint_url",
    }

    client: Any = Field(default=None, exclude=True)
    region_name: str | None = None
    credentials_profile_name: str | None = None
    aws_access_key_id: SecretStr | None = secret("AWS_ACCESS_KEY_ID")
    aws_secret_access_key: SecretStr | None = secret("AWS_SECRET_ACCESS_KEY")
    aws_session_token: SecretStr | None = secret("AWS_SESSION_TOKEN")
    model_id: str = "amazon.titan-embed-text-v1"
    model_kwargs: dict[str, Any] | None = None
    model_provider: str | None = None
    """The keyword `provider`."""
    endpoint_url: str | None = None
    normalize: bool = False
    dimensions: int | None = None
    config: Any = Field(default=None, exclude=True)

    def __init__(
        self,
        *,
        client: Any = None,
        region_name: str | None = None,
        credentials_profile_name: str | None = None,
        aws_access_key_id: str | SecretStr | None = None,
        aws_secret_access_key: str | SecretStr | None = None,
        aws_session_token: str | SecretStr | None = None,
        model_id: str = "amazon.titan-embed-text-v1",
        model_kwargs: dict[str, Any] | None = None,
        provider: str | None = None,
        endpoint_url: str | None = None,
        normalize: bool = False,
        dimensions: int | None = None,
        config: Any = None,
        model: str | None = None,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    embed_image = embed_images = embed_audio = embed_video = no_media
    aembed_image = aembed_images = aembed_audio = aembed_video = ano_media

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "client", "config")
        named = foundation("model_id", self.model_id)
        if self.model_provider and not named.startswith(f"{self.model_provider}."):
            raise ConfigurationError(
                f"provider (model_provider): {self.model_id!r} names no model of {self.model_provider}; name the model "
                "by model_id, and its ARN by provider_options={'model_arn': …}"
            )
        self._idle("the model's name says it", "model_provider")
        with of_keyword("model_kwargs"):
            options = request_options(self.model_id, self.model_kwargs)
        nova = is_nova(self.model_id)
        if (
            nova
            and "model_id" in self.model_fields_set
            and "role_body" not in (self._ours.get("provider_options") or {})
        ):
            self._say(NO_PURPOSES_TOLD.format(model=self.model_id, package=self.package))
        own = {"region": self.region_name, "profile": self.credentials_profile_name, **self._keys()}
        own |= options.pop("provider_options") | ({"role_body": NO_PURPOSES} if nova else {})
        return options | {
            "model": f"bedrock:{self.model_id}",
            "base_url": self.endpoint_url,
            "dimensions": self.dimensions or options.get("dimensions"),
            "normalize": self.normalize or None,
            "too_long": options["too_long"] or ("truncate" if nova else "error"),
            "provider_options": own,
        }

    def _keys(self) -> dict[str, SecretStr]:
        """The access key that is given: of no use beside a profile, as there; with a token of the environment's own."""
        given = {name: getattr(self, name) for name in CREDENTIALS if name in self.model_fields_set}
        if self.credentials_profile_name:
            self._idle("credentials_profile_name is used, as by the original", *given)
            return {}
        known = os.environ.get("AWS_ACCESS_KEY_ID")
        if given and self.aws_access_key_id and known in {None, "", self.aws_access_key_id.get_secret_value()}:
            given["aws_session_token"] = self.aws_session_token
        return given
