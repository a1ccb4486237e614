"""Bedrock: `POST /model/ID/invoke` for Titan, Nova and Cohere, by bearer tokens or signatures."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

import datetime as dt
import email.utils
import re
import urllib.parse
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import Dialect, need_texts, without, written

__all__ = ["Bedrock"]

_TYPES = ("search_document", "search_query", "classification", "clustering")
_PURPOSES = {f"{what}_RETRIEVAL" for what in ("GENERIC", "TEXT", "IMAGE", "VIDEO", "DOCUMENT", "AUDIO")} | {
    "GENERIC_INDEX",
    "CLASSIFICATION",
    "CLUSTERING",
}
_NAMES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    422: "ValidationException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_LONGEST = {
    "amazon.titan-embed-image": 256,
    "amazon.titan": 8192,
    "amazon.nova": 8172,
    "cohere.embed-english-v3": 512,
    "cohere.embed-multilingual": 512,
}
"""Tokens of a text, by what a model's name begins with."""
_CHARACTERS = {"amazon.titan": 50_000, "cohere.embed-english-v3": 2048, "cohere.embed-multilingual": 2048}
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/bedrock/aws4_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_MODEL = re.compile(r"(amazon|cohere|anthropic)\.[a-z0-9.:-]+$")
_LENGTH = "outputEmbeddingLength"
_TOLERANCE = dt.timedelta(minutes=5)


class Bedrock(Dialect):
    """Ids of inference profiles and ARNs are the model that they name; what names none is Titan v2."""

    name: ClassVar[str] = "bedrock"
    width: ClassVar[int] = 1024
    widths: ClassVar[Mapping[str, int]] = {
        "amazon.titan-embed-text-v1": 1536,
        "amazon.nova-2-multimodal-embeddings-v1:0": 3072,
        "cohere.embed-v4:0": 1536,
    }
    limits: ClassVar[Limits] = Limits(96, 128_000, None, body_bytes=25_000_000)

    def speaks(self, path: str) -> bool:
        return path.startswith("/model/") and path.endswith("/invoke")

    def parse(self, request: Request) -> None:
        asked = urllib.parse.unquote(request.path.removeprefix("/model/").removesuffix("/invoke"))
        found = _MODEL.search(asked)
        request.called = "amazon.titan-embed-text-v2:0" if found is None else found[0]
        body = request.payload
        if request.called.startswith("amazon.nova"):
            given = body.get("singleEmbeddingParams") or {}
            request.roles[:] = [str(given.get("embeddingPurpose") or "")]
            request.items = [(given.get("text") or {}).get("value")]
        elif request.called.startswith("cohere."):
            request.items = body.get("texts") or []
        else:
            request.items = [body.get("inputText")]

    def check(self, request: Request, limits: Limits) -> None:
        if not request.called.startswith(("amazon.titan-embed-", "amazon.nova", "cohere.embed")):
            raise Refusal(400, "The provided model identifier is invalid.")
        need_texts(request.items, "Malformed input request: #: required key not found", empty=False)
        if limits.items is not None and len(request.items) > limits.items:
            n = len(request.items)
            raise Refusal(
                400, f"Malformed input request: #/texts: expected maximum item count: {limits.items}, found: {n}"
            )
        longest = _of(_CHARACTERS, request.called)
        for text in request.items:
            if longest is not None and len(text) > longest:
                said = f"expected maxLength: {longest}, actual: {len(text)}, please reformat your input and try again."
                raise Refusal(400, f"Malformed input request: {said}")
        if request.called.startswith("cohere.") and request.input_type not in _TYPES:
            raise Refusal(400, "Malformed input request: #: required key [input_type] not found")
        if request.called.startswith("amazon.nova"):
            self._check_nova(request)
        if request.called.startswith("amazon.titan-embed-image"):
            self._check_image_model(request)

    def _check_nova(self, request: Request) -> None:
        given = request.payload["singleEmbeddingParams"]
        known = {"embeddingPurpose", "embeddingDimension", "text"}
        whole = set(request.payload) - {"schemaVersion", "taskType", "singleEmbeddingParams"}
        if request.payload.get("taskType") != "SINGLE_EMBEDDING" or whole or set(given) - known:
            raise Refusal(400, "Malformed input request: extraneous key is not permitted")
        if request.input_type not in _PURPOSES or (given["text"].get("truncationMode") not in ("NONE", "START", "END")):
            raise Refusal(400, "Malformed input request: #/singleEmbeddingParams: not a valid enum value")

    def _check_image_model(self, request: Request) -> None:
        asked = request.payload.get("embeddingConfig", {_LENGTH: 1024})
        if set(request.payload) - {"inputText", "inputImage", "embeddingConfig"} or set(asked) != {_LENGTH}:
            raise Refusal(400, "Malformed input request: extraneous key is not permitted")
        if asked[_LENGTH] not in (256, 384, 1024):
            raise Refusal(400, f"Malformed input request: #/embeddingConfig/{_LENGTH}: not a valid enum value")

    def truncates(self, request: Request) -> bool:
        if request.called.startswith("amazon.nova"):
            return bool(request.payload["singleEmbeddingParams"]["text"]["truncationMode"] != "NONE")
        return bool(request.payload.get("truncate", "NONE") != "NONE")

    def text_limit(self, request: Request, limits: Limits) -> int | None:
        known = [most for most in (_of(_LONGEST, request.called), limits.tokens_per_item) if most is not None]
        return min(known, default=None)

    def too_long(self, limit: int, tokens: int) -> Refusal:
        said = f"Too many input tokens. Max input tokens: {limit}, request input token count: {tokens} "
        return Refusal(400, f"400 Bad Request: {said}")

    def dims(self, request: Request, width: int) -> int:
        body = request.payload
        deep = (body.get("singleEmbeddingParams") or {}).get("embeddingDimension")
        deep = deep or (body.get("embeddingConfig") or {}).get(_LENGTH)
        return int(body.get("dimensions") or body.get("output_dimension") or deep or width)

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        vectors = written(answer.vectors, packed=False)
        if request.called.startswith("amazon.titan"):
            reply: dict[str, Any] = {"inputTextTokenCount": answer.tokens}
            reply |= {"embedding": vectors[0]} if vectors else {}
            return without(reply, answer, usage="inputTextTokenCount", data="embedding")
        if request.called.startswith("amazon.nova"):
            entries = [{"embeddingType": "TEXT", "embedding": vector} for vector in vectors]
            if entries and request.read != request.items:
                entries[0]["truncatedCharLength"] = len(request.read[0])
            return without({"embeddings": entries}, answer, data="embeddings")
        typed = request.payload.get("embedding_types")
        reply = {
            "id": "0123",
            "texts": request.items,
            "embeddings": {"float": vectors} if typed else vectors,
            "response_type": "embeddings_by_type" if typed else "embeddings_floats",
        }
        return without(reply, answer, data="embeddings")

    def headers(self, answer: Answer) -> dict[str, str]:
        told = {"date": email.utils.formatdate(usegmt=True)}
        return told if "usage" in answer.missing else told | {"x-amzn-bedrock-input-token-count": str(answer.tokens)}

    def refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], Any]:
        status, name = refusal.status, _NAMES.get(refusal.status, "InternalServerException")
        if refusal.code == "insufficient_quota":
            status, name = 400, "ServiceQuotaExceededException"
        elif refusal.code is not None and refusal.code.endswith("Exception"):
            name = refusal.code
        told = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
        now = {"date": email.utils.formatdate(usegmt=True)}
        return status, now | told | refusal.headers, self.error(refusal)

    def error(self, refusal: Refusal) -> Any:
        return {"message": refusal.message}

    def admit(self, request: Request, keys: AbstractSet[str] | None) -> None:
        """A bearer token is a key itself; of a signature, the key's secret is needed to check it, by botocore."""
        given = request.headers.get("authorization", "")
        found = _SIGNED.fullmatch(given)
        if found is None:
            super().admit(request, keys)
            if not given:
                raise Refusal(403, "Missing Authentication Token", code="MissingAuthenticationTokenException")
            return
        secrets = dict(key.split(":", 1) for key in keys or () if ":" in key)
        if keys is not None and found["key"] not in secrets:
            said = "The security token included in the request is invalid."
            raise Refusal(403, said, code="UnrecognizedClientException")
        at = dt.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        if abs(dt.datetime.now(dt.UTC) - at) > _TOLERANCE:
            said = f"Signature expired: {request.headers['x-amz-date']} is now earlier than the time allowed"
            raise Refusal(403, said, code="InvalidSignatureException")
        if keys is not None and _signature(request, found, secrets[found["key"]]) != found["signature"]:
            said = "The request signature we calculated does not match the signature you provided."
            raise Refusal(403, said, code="InvalidSignatureException")


def _signature(request: Request, found: re.Match[str], secret: str) -> str:
    """What botocore makes of the request as it came."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = {name: request.headers[name] for name in found["headers"].split(";")}
    sent = AWSRequest("POST", f"https://{request.headers['host']}{request.target}", headers, request.body)
    sent.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(found["key"], secret), "bedrock", found["region"])
    return str(auth.signature(auth.string_to_sign(sent, auth.canonical_request(sent)), sent))


def _of(table: Mapping[str, int], model: str) -> int | None:
    return next((most for head, most in table.items() if model.startswith(head)), None)
