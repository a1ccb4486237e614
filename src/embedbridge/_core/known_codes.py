"""Refusals that are told by an identifier of the answer, such as a code or a type: rows of `known_refusals.py`."""

from __future__ import annotations

from .kinds import Kind
from .refusal_rows import FILTER, INPUT, INPUT_OR_SERVER, LIMIT, LOADING, REQUEST, Row

BY_CODE: tuple[Row, ...] = (
    Row(
        Kind.OVER_RATE,
        "OpenAI",
        "error text: one request over the limit per minute",
        {*INPUT, 429},
        code="rate_limit_exceeded|tokens",
        said=r"request too large",
    ),
    Row(
        Kind.TOO_LONG,
        "OpenAI",
        "error codes guide",
        INPUT,
        code="context_length_exceeded|string_(above_max_length|too_long)",
    ),
    Row(Kind.TOO_LONG, "llama.cpp", "server README", INPUT_OR_SERVER, code="exceed_context_size_error"),
    Row(Kind.TOO_LONG, "Jina", "api.jina.ai/openapi.json: error codes", INPUT, code="input_token_limit_exceeded"),
    Row(Kind.TOO_LONG, "Zhipu", "error code list: Prompt \u8d85\u957f", INPUT, code="1261"),
    Row(
        Kind.TOO_MUCH,
        "OpenAI",
        "error text",
        code="max_tokens_per_request|array_above_max_length|(request|payload)_too_large",
    ),
    Row(Kind.QUOTA, "Gemini", "QuotaFailure: quotaId …PerDay…", LIMIT, code=r"\w*per_?day[\w-]*"),
    Row(Kind.RATE, "Gemini", "QuotaFailure: quotaId …PerMinute…", LIMIT, code=r"\w*per_?(minute|second)[\w-]*"),
    Row(Kind.QUOTA, "OpenAI", "error codes guide", LIMIT, code="insufficient_quota|quota_exceeded", firm=False),
    Row(
        Kind.QUOTA,
        "litellm",
        "docs.litellm.ai/docs/proxy/users: budgets",
        code=r"\w*(budget_?exceeded|exceeded_?budget)(_?error)?",
    ),
    Row(
        Kind.QUOTA,
        "OpenAI, DashScope, SiliconFlow, Jina",
        "error code lists",
        code=r"billing_(hard_limit_reached|not_active)|arrearage|insufficient_?(balance|credits|funds)"
        r"|allocationquota\.freetieronly|authz_(insufficient_balance|resource_limit_exceeded)",
    ),
    Row(Kind.QUOTA, "Bedrock", "API reference of InvokeModel", code="servicequotaexceeded(exception)?", firm=False),
    Row(
        Kind.RATE,
        "OpenAI, Google, AWS, Anthropic-like gateways",
        "error code lists",
        (*range(400, 429), *range(430, 600)),  # a 429 says as much, and gateways give every 429 such a code
        code=r"rate_?limit(_exceeded|_error|exceeded)?|(user|daily)?ratelimitexceeded|too_?many_?requests(exception)?"
        r"|throttl(ing|ed)(exception)?([._]\w+)*"
        r"|slow_?down|(requests?|qps)_?(limit_?exceeded|throttled)",
    ),
    Row(
        Kind.KEY,
        "OpenAI, Gemini, DashScope",
        "error code lists",
        code="(auth_)?(invalid|incorrect|missing|expired)_?api_?key|api_key_invalid|unauthenticated|authentication_error"
        "|invalid_token|expired_token|no_db_connection|unauthorized|authfailure([.]\\w+)*",
    ),
    Row(
        Kind.KEY,
        "AWS",
        "common error types of its APIs",
        code="(accessdenied|expiredtoken|incompletesignature|invalidclienttokenid|invalidsignature"
        "|missingauthenticationtoken|notauthorized|optinrequired|requestexpired|signaturedoesnotmatch"
        "|unrecognizedclient)(exception)?",
    ),
    Row(
        Kind.MISSING_MODEL,
        "OpenAI, Azure, Ollama /v1, Databricks",
        "error code lists",
        REQUEST,
        code="(input_)?(model|deployment|endpoint)_?not_?(found|available|exist)|invalid_model",
    ),
    Row(
        Kind.TEXT,
        "OpenAI, Azure, DashScope, OpenRouter",
        "error code lists",
        FILTER,
        code="content_?(filter|policy_violation)|moderation(_\\w+)?|data_?inspection_?failed|input_flagged"
        "|responsibleaipolicyviolation",
    ),
    Row(
        Kind.CONFIGURATION,
        "OpenAI, FastAPI servers",
        "error code lists, pydantic's error types",
        REQUEST,
        code="(unknown|unsupported|extra)_(parameter|value|argument)|extra_forbidden|operation_?not_?supported"
        "|unsupported_country_region_territory",
    ),
    Row(
        Kind.BUSY,
        "Google, AWS, TEI, Azure",
        "gRPC status, error code lists",
        LOADING,
        code="unavailable|overloaded(_error)?|model_?not_?ready(exception)?|server_?overloaded",
    ),
)
