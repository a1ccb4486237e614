"""A stand-in for `llama_index.embeddings.bedrock.BedrockEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, Unpack

from llama_index.core.callbacks import CallbackManager
from llama_index.core.types import PydanticProgramMode
from pydantic import Field, SecretStr

from embedbridge._frameworks.bedrock_fields import CREDENTIALS, foundation, is_nova, request_options
from embedbridge._frameworks.keywords import CLIENT, Ours, of_keyword
from embedbridge.errors import ConfigurationError

from .stand_in import LlamaIndexStandIn

__all__ = ["BedrockEmbedding"]

OF_LLMS = ("system_prompt", "messages_to_prompt", "completion_to_prompt", "pydantic_program_mode", "output_parser")
SENT = {"dimensions", "normalize"}
"""What the original sends of `additional_kwargs`."""
SENT_TO_COHERE = 2048
"""Characters of a text."""


class BedrockEmbedding(LlamaIndexStandIn):
    """For `llama_index.embeddings.bedrock.BedrockEmbedding`: its keywords, attributes and vectors.

    Honoured: model_name, profile_name, aws_access_key_id, aws_secret_access_key, aws_session_token, region_name,
    additional_kwargs (dimensions, normalize), max_retries, timeout, application_inference_profile_arn,
    embed_batch_size, callback_manager, num_workers; and AWS's own variables and files.
    Mapped: a text that is too long is an error (`too_long`), as at the original. Cohere is sent 2048 characters of each
    text, as by the original, with a warning, unless too_long is given; Nova, which the original lacks, cuts a text.
    Idle, with a warning: what is for language models: system_prompt, messages_to_prompt, completion_to_prompt,
    pydantic_program_mode, output_parser.
    Refused: client, botocore_session, botocore_config, other additional_kwargs, which the original does not send.
    Keys are kept as secrets, not as text.
    """

    package = "llama-index-embeddings-bedrock"
    provider = "bedrock"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str = "amazon.titan-embed-text-v1"
    profile_name: str | None = None
    aws_access_key_id: SecretStr | None = Field(default=None, exclude=True, repr=False)
    aws_secret_access_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    aws_session_token: SecretStr | None = Field(default=None, exclude=True, repr=False)
    region_name: str | None = None
    client: Any = Field(default=None, exclude=True, repr=False)
    botocore_session: Any = Field(default=None, exclude=True, repr=False)
    botocore_config: Any = Field(default=None, exclude=True, repr=False)
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    max_retries: int = Field(default=10, gt=0)
    timeout: float = Field(default=60.0, gt=0)
    application_inference_profile_arn: str | None = None
    system_prompt: str | None = Field(default=None, exclude=True)
    messages_to_prompt: Any = Field(default=None, exclude=True)
    completion_to_prompt: Any = Field(default=None, exclude=True)
    pydantic_program_mode: str = Field(default="default", exclude=True)
    output_parser: Any = Field(default=None, exclude=True)
    embed_batch_size: int = Field(default=10, gt=0, le=2048)

    def __init__(
        self,
        model_name: str = "amazon.titan-embed-text-v1",
        profile_name: str | None = None,
        aws_access_key_id: str | SecretStr | None = None,
        aws_secret_access_key: str | SecretStr | None = None,
        aws_session_token: str | SecretStr | None = None,
        region_name: str | None = None,
        client: Any = None,
        botocore_session: Any = None,
        botocore_config: Any = None,
        additional_kwargs: dict[str, Any] | None = None,
        max_retries: int = 10,
        timeout: float = 60.0,
        application_inference_profile_arn: str | None = None,
        callback_manager: CallbackManager | None = None,
        system_prompt: str | None = None,
        messages_to_prompt: Any = None,
        completion_to_prompt: Any = None,
        pydantic_program_mode: PydanticProgramMode | str = "default",
        output_parser: Any = None,
        *,
        model: str | None = None,
        embed_batch_size: int = 10,
        num_workers: int | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    @classmethod
    def from_credentials(
        cls,
        model_name: str = "amazon.titan-embed-text-v1",
        aws_region: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        aws_profile: str | None = None,
        embed_batch_size: int = 10,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> Self:
        """An object by the original's other names of the constructor's keywords.

        Args:
            model_name: the model.
            aws_region: as `region_name`.
            aws_access_key_id: of an access key.
            aws_secret_access_key: of the same.
            aws_session_token: where the key is temporary.
            aws_profile: as `profile_name`.
            embed_batch_size: most texts in one request.
            callback_manager: LlamaIndex's handlers of events.
            verbose: has no effect, as at the original.

        Returns:
            The object.
        """
        return cls(
            model_name,
            aws_profile,
            aws_access_key_id,
            aws_secret_access_key,
            aws_session_token,
            aws_region,
            embed_batch_size=embed_batch_size,
            callback_manager=callback_manager,
        )

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "client", "botocore_session", "botocore_config")
        self._idle("it is for language models", *OF_LLMS)
        with of_keyword("additional_kwargs"):
            if unsent := sorted(self.additional_kwargs.keys() - SENT):
                raise ConfigurationError(
                    f"{unsent[0]}: the original does not send it; see provider_options={{'body': …}}"
                )
            options = request_options(self.model_name, self.additional_kwargs)
        own = {name: getattr(self, name) for name in CREDENTIALS if name in self.model_fields_set}
        own |= {"region": self.region_name, "profile": self.profile_name}
        own |= {"model_arn": self.application_inference_profile_arn, **options.pop("provider_options")}
        foundation("model_name", self.model_name)
        return options | {
            "model": f"bedrock:{self.model_name}",
            "max_retries": self.max_retries,
            "timeout": self.timeout,
            "too_long": "truncate" if is_nova(self.model_name) else "error",
            "provider_options": own,
        }

    def _as_sent(self, texts: list[str]) -> list[str]:
        cohere = foundation("model_name", self.model_name).startswith("cohere.")
        if not cohere or "too_long" in self._ours or all(len(text) <= SENT_TO_COHERE for text in texts):
            return texts
        self._say(
            f"{self.package} sends Cohere's models {SENT_TO_COHERE} characters of a text, and so does its stand-in: "
            "an index made with the one serves the other. For a new index pass too_long='truncate'"
        )
        return [text[:SENT_TO_COHERE] for text in texts]
