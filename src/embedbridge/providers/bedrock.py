"""Amazon Bedrock's `InvokeModel` for embedding models: its documented wire, signed by botocore, or a bearer token."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, field_validator

from embedbridge._core.kinds import Kind
from embedbridge._core.tokens import Counter
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply
from embedbridge.catalogue import ModelCard, foundation_model
from embedbridge.errors import ConfigurationError, RequestFailed

from ._aws import (
    HOST,
    RENEW,
    Keys,
    Signer,
    SigningClient,
    check_can_be_found,
    endpoint_in,
    find_endpoint,
    find_region,
    given_keys,
    keys_of_environment,
    profile_settings,
)
from ._bedrock_models import OF_ROLES, OWNED, Asked, family_of
from ._listing import cut_by_usage, tokens_of
from ._request_options import Fields, canonical, place_of
from ._transport import TransportOptions
from ._wire import Exchange
from .base import ProviderConfig, require
from .hosted import HostedProvider, rough_counter

__all__ = ["BedrockProvider"]

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
HEADERS = {
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-amz-date",
    "x-amz-security-token",
}
"""All that is sent."""
SKEW = 240.0
"""Seconds between two clocks; AWS refuses signatures that are five minutes old or young."""
KEY_OPTIONS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


class BedrockOptions(TransportOptions):
    """Who asks, where, and what a request has besides its own fields."""

    aside = frozenset({"region", "profile"})
    unset_if_empty = frozenset({"region", "profile"})
    from_environment = frozenset(KEY_OPTIONS)

    region: str | None = Field(default=None, pattern="^[a-z0-9-]{0,63}$")
    """`us-east-1`. None or "": that of an ARN, AWS_REGION, AWS_DEFAULT_REGION, or of the profile."""
    profile: str | None = None
    """A profile of ~/.aws. None or "": AWS_PROFILE, and all other ways in which AWS's own clients find credentials."""
    aws_access_key_id: SecretStr | None = None
    """With `aws_secret_access_key`, in place of all other credentials."""
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    """Of temporary keys."""
    model_arn: str | None = Field(default=None, min_length=1)
    """What is invoked in place of the model's own id: the ARN of an inference profile of it, of provisioned throughput
    or of an imported copy. It decides vectors, as far as cache keys know."""
    body: Fields = Field(default_factory=dict)
    """Fields that every request has besides its own: `{"normalize": False}` for Titan; for Nova, they stand in
    `singleEmbeddingParams`."""
    role_body: dict[InputType, Fields] | None = None
    """Fields that tell the role, in place of the API's usual ones: `{"query": {"embeddingPurpose":
    "GENERIC_RETRIEVAL"}}`. A role that is not named has its usual ones."""

    @field_validator("body", "role_body")
    @classmethod
    def _own_fields_are_not_set(cls, value: Any, info: Any) -> Any:
        groups = (
            {"body": value} if info.field_name == "body" else {f"role_body.{k}": v for k, v in (value or {}).items()}
        )
        for group, fields in groups.items():
            for name in fields:
                if name in OWNED and (group == "body" or name not in OF_ROLES):
                    raise ValueError(f"{group}: {name!r} is not set here; use {OWNED[name]}")
        return value


class BedrockProvider(HostedProvider):
    """`bedrock:amazon.titan-embed-text-v2:0`, or an inference profile's id (`us.cohere.embed-v4:0`) or ARN of a model.

    `api_key` is a key of Bedrock's own, a bearer token; else AWS's credentials are taken.
    """

    name = "bedrock"
    package = "httpx2"
    extra = "bedrock"
    key_variables = (BEARER,)
    options_type = BedrockOptions
    where_to_look = "check base_url (the host alone, as endpoint_url of AWS's clients) and model"
    sent_headers = HEADERS
    usage_header = "x-amzn-bedrock-input-token-count"

    def __init__(self, config: ProviderConfig) -> None:
        self.foundation = foundation_model(config.model)
        self._family = family_of(self.foundation)
        self._keys: Keys | None = None
        super().__init__(config)
        own: BedrockOptions = self.options
        if urlsplit(self.url or "").username is not None:
            raise ConfigurationError(
                "base_url holds a user, where Bedrock is sent a signature or a token; leave it out"
            )
        where = place_of(self.secret(), {"body": own.body, "role_body": own.role_body}) if self.secret() else None
        if where is not None:
            raise ConfigurationError(f"provider_options: {where!r} holds the api key, and is stored and shown")

    # Who asks, and where.

    def find_url(self) -> str | None:
        """`base_url`, else what AWS's variables and files say; None for all of AWS's own addresses."""
        own: BedrockOptions = self.options
        if own.profile:
            profile_settings(own.profile)  # a profile that is not there is an error, also where nothing of it is needed
        given = self.config.base_url or find_endpoint(own.profile)
        at_aws = given if given and HOST.fullmatch(given) else None
        arn = own.model_arn or (self.model if self.model.startswith("arn:") else None)
        self.region = find_region(own.region, own.profile, at_aws, arn)
        if self.region is None and (given is None or not self._bearer()):
            raise ConfigurationError(
                "'bedrock' needs a region: set AWS_REGION or AWS_DEFAULT_REGION, or pass provider_options={'region': …}"
            )
        self._at_aws = (at_aws or "").rstrip("/") or endpoint_in(self.region or "")
        return None if at_aws else given

    def _bearer(self) -> SecretStr | None:
        """A key of Bedrock's own. What is given to us comes before what the environment has."""
        own: BedrockOptions = self.options
        if self.config.api_key is not None:
            if any(getattr(own, name) for name in KEY_OPTIONS):
                raise ConfigurationError("api_key and aws_access_key_id are two ways to say who asks; pass one of them")
            return self.config.api_key
        ambient = os.environ.get(BEARER, "").strip()
        return SecretStr(ambient) if ambient and not (own.profile or own.aws_access_key_id) else None

    def _sends_user(self) -> bool:
        """Never: a signature or a token is sent where they would be."""
        return False

    def choose_key(self) -> SecretStr | None:
        """A bearer token; None where requests are signed."""
        own: BedrockOptions = self.options
        keys, bearer = given_keys(*(getattr(own, name) for name in KEY_OPTIONS)), self._bearer()
        if bearer is not None:
            return bearer
        require("botocore", self.extra)
        self._keys = keys or (None if own.profile else keys_of_environment())
        if self._keys is None:
            check_can_be_found(own.profile)
        return None

    def address(self) -> str:
        """The server."""
        return (self.url or self._at_aws).rstrip("/")

    @property
    def identity(self) -> Identity:
        """Regions and inference profiles have the same models, and so the same vectors."""
        return replace(super().identity, model=self.foundation)

    def details(self) -> dict[str, Any]:
        """What the user changes of the request."""
        own: BedrockOptions = self.options
        body = {"body": sha256(canonical(own.body).encode()).hexdigest()[:16]} if own.body else {}
        return body | ({"model_arn": own.model_arn} if own.model_arn else {})

    # Its limits.

    @property
    def limits(self) -> Limits:
        """One text for Amazon's models, 96 for Cohere's."""
        card, family = self.config.card, self._family
        return Limits(
            items=family.items,
            tokens=card.request_tokens if card else None,
            text_tokens=card.max_tokens if card else None,
            cuts_unseen=family.truncates,
        )

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """As the catalogue says; of others, as their family does."""
        return bool(card.reductions) if card else family_of(foundation_model(model)).widths

    @property
    def unit_length(self) -> bool | None:
        """Not known where the request asks for another."""
        return None if "normalize" in self.options.body else super().unit_length

    def counter(self) -> Counter:
        """There is no tokenizer offline; the server cuts or refuses exactly."""
        return rough_counter(self.config.too_long)

    def wire_type(self, input_type: InputType) -> str | None:
        """Nova's purpose, Cohere's input type, or the fields of `role_body`."""
        fields = (self.options.role_body or {}).get(input_type)
        return self._family.roles.get(input_type) if fields is None else canonical(fields)

    # How a batch becomes a request.

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """The client of HTTP, and what signs where there is no bearer token."""
        http = self.http_client(transport, blocking=blocking)
        signer = None if self.key else Signer(self.region or "", self._keys, self.options.profile)
        return SigningClient(http, signer, self.secret(), blocking=blocking)

    def send(self, client: Any, batch: Batch) -> Any:
        """One `InvokeModel`."""
        own: BedrockOptions = self.options
        family, role = self._family, batch.route.input_type
        usual = {family.role_field: family.roles[role]} if family.roles else {}
        fields = (own.role_body or {}).get(role, usual)
        asked = Asked(batch, self.config.dimensions, self.config.too_long == "truncate", fields, own.body)
        body = json.dumps(family.write(asked), ensure_ascii=False, separators=(",", ":")).encode()
        invoked = quote(own.model_arn or self.model, safe="")
        return client.post(f"{self.address()}/model/{invoked}/invoke", body)

    # How the answer becomes a Reply.

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """As the family has it. Nova says itself what it has cut."""
        told = payload.get("embeddings")
        entries = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
        cut = {0: -1} if any(entry.get("truncatedCharLength") is not None for entry in entries) else {}
        return Reply(self._family.read(payload), tokens=tokens_of(payload, "inputTextTokenCount"), cut=cut)

    def _read(self, batch: Batch, held: Exchange) -> Reply:
        """Besides, what is cut, and what the server's time says of a refused signature."""
        try:
            reply = super()._read(batch, held)
        except RequestFailed as failure:
            failure.credentials = "" if self.key else RENEW
            raise _with_clock(failure, held.headers.get("date")) from None
        if self._family.items > 1 and self.config.too_long == "truncate":
            return replace(reply, cut=cut_by_usage(batch, reply.tokens, self.limits.text_tokens))
        return reply


def _with_clock(failure: RequestFailed, date: str | None) -> RequestFailed:
    """A refused signature with the reason, where this machine's clock is wrong."""
    if failure.kind is not Kind.KEY or date is None:
        return failure
    try:
        ahead = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return failure
    if abs(ahead) > SKEW:
        where = "ahead of" if ahead > 0 else "behind"
        failure.args = (
            f"{failure} - this machine's clock is {abs(ahead) / 60:.0f} minutes {where} the server's; set it",
        )
    return failure
