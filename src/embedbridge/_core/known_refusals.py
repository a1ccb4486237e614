"""What servers say when they refuse a request, and what it means: data, one row a server and wording.

Rows with a `code` are looked at first, whatever their place; then the field that the answer names; then rows with words
alone. The first row that fits wins. Patterns ignore case. Named groups are numbers (`tokens`, `limit`, `items`) or the
`field` of the request that is at fault.

What is told by an identifier stands in `known_codes.py`, and that a text is too long in `known_lengths.py`.

To add a server's wording: add a row, with where it was seen, and a line to `tests/providers/test_refusal.py`.
"""

from __future__ import annotations

from .kinds import Kind
from .known_codes import BY_CODE
from .known_lengths import TOO_LONG
from .refusal_rows import (
    ACCOUNT,
    BUSY,
    FILTER,
    INPUT,
    LIMIT,
    LOADING,
    MORE,
    NUMBER,
    PER_TIME,
    REQUEST,
    SERVER,
    Row,
    in_any_order,
)

KNOWN: tuple[Row, ...] = (
    *BY_CODE,
    # Money and rate: what can mean nothing else comes before the lengths and sizes, some of whose words it has.
    Row(
        Kind.QUOTA,
        "litellm",
        "docs.litellm.ai/docs/proxy/users: budgets",
        ACCOUNT,
        said=r"(budget|spend(ing)?) (\w+ ){0,2}(exceeded|exhausted|reached|used up)|usage limit"
        r"|(exceeded|over|crossed) (\w+ )?budget|exceeded\w*budget",
        firm=False,
    ),
    Row(
        Kind.OVER_RATE,
        "OpenAI, Groq: one request over the limit per minute",
        "error text",
        {*INPUT, 429},
        said=rf"too large.{{0,200}}({PER_TIME})",
    ),
    Row(
        Kind.RATE,
        "gateways that have another status than 429 for it: SiliconFlow, AWS, Apigee, litellm",
        "error texts, docs.apigee.com",
        {400, 403, 409, 413, 422, *SERVER},
        said=rf"(?<![/#.-])\brate.?limit|{PER_TIME}|too many (concurrent |parallel )?(requests|calls)"
        r"(?! (in|per) (\w+ )?(batch|request|call)\b)|throttl|spike ?arrest|quota ?violation|slow(ing)? down|too (fast|"
        r"quickly|frequent|much traffic)|(reduce|lower|limit) (\w+ )?(request |call )?(rate|frequency)"
        r"|concurren(t|cy) .{0,20}limit"
        r"|(?<![/#.-])\b(rate|frequency|traffic|burst)\b.{0,20}(exceed|limit|too (high|large))",
    ),
    *TOO_LONG,
    # The request itself is wrong.
    Row(
        Kind.CONFIGURATION,
        "vLLM, FastAPI servers",
        "a validator's errors, printed into the message",
        REQUEST,
        said=r"'loc': \(?\[?'body', '(?!(input|inputs|texts?|prompt|contents?|messages)')(?P<field>\w+)'",
    ),
    Row(
        Kind.CONFIGURATION,
        "OpenAI, Google and others",
        "error texts",
        REQUEST,
        said=r"(unrecognized|unknown|unsupported|unexpected) (request |keyword |query )?"
        r"(argument|parameter|field|name)s?( supplied)?\W+(?P<field>\w+)|extra (inputs|fields) (are )?not permitted"
        r"|additional properties|unknown field|location is not supported",
    ),
    Row(
        Kind.CONFIGURATION,
        "OpenAI, Cohere, Azure, Voyage",
        "error texts",
        INPUT,
        said=r"(?P<field>dimensions|input_type|encoding_format|output_dimension)|dimension|api.?version|deployment",
    ),
    Row(
        Kind.CONFIGURATION,
        "Ollama, llama.cpp, LM Studio, Azure",
        "error texts",
        said=r"(does|do) not support (the )?embed|not (an )?embedding( model)?\b|start it with .{0,4}--embedding"
        r"|unexpected endpoint|does not work with the specified model",
    ),
    Row(
        Kind.MISSING_MODEL,
        "OpenAI, Cohere, Voyage, Ollama, litellm, Azure, LM Studio",
        "error texts",
        REQUEST,
        said=r"(model|deployment) .{0,80}(not found|does not exist|not supported|is not available)"
        r"|(unknown|invalid|no such) model|model_not_found|no models? (is |are )?loaded",
    ),
    Row(
        Kind.MISSING_MODEL,
        "Bedrock",
        "error texts",
        REQUEST,
        said=r"model identifier is invalid|on-demand throughput isn.t supported|end of its life",
    ),
    Row(
        Kind.MISSING_MODEL,
        "Gemini",
        "error text",
        REQUEST,
        said=r"is not found for api version",
    ),
    Row(
        Kind.KEY,
        "Gemini, OpenAI, gateways, Baidu, MiniMax",
        "error texts, error code lists",
        REQUEST,
        said=r"api.?key (is )?(not valid|invalid|expired|missing|required)|(invalid|incorrect|expired|no) api.?key"
        r"|invalid (authentication|credentials|(api|access|auth)[ -]token)|(api|access|auth)[ -]?token (is |has )?"
        r"(not valid|invalid|expired)|(^|: )unauthori[sz]ed\W*$|(authentication|login) (fail|required|error)",
    ),
    # What a text says.
    Row(Kind.TEXT, "Ollama", "github.com/ollama/ollama: NaN in a vector", SERVER, said=r"\bNaN\b"),
    Row(
        Kind.TEXT,
        "Azure, DashScope, OpenRouter",
        "error texts",
        FILTER,
        said=r"content (policy|filter|management|safety)|moderation|flagged|inappropriate|harmful|prohibited content"
        r"|safety (system|filter)|sensitive",
    ),
    # Memory and size.
    Row(
        Kind.OUT_OF_MEMORY,
        "torch, CUDA, ggml, ONNX Runtime",
        "error texts",
        said=r"out.?of.?memory|alloc_failed|(not enough|insufficient) memory|failed to allocate|bad_?alloc"
        r"|cudamalloc|\boom\b",
    ),
    Row(
        Kind.TOO_MUCH,
        "TEI",
        "error text",
        {413, 422, 429},
        said=r"batch size \d{1,9} > maximum allowed batch size (?P<items>\d{1,9})",
    ),
    Row(
        Kind.TOO_MUCH,
        "DashScope",
        "error text",
        INPUT,
        said=r"batch size is invalid.{0,40}larger than (?P<items>\d{1,9})",
    ),
    Row(
        Kind.TOO_MUCH,
        "Vertex AI",
        "github.com/topoteretes/cognee/pull/4856",
        INPUT,
        said=r"(?P<items>\d{1,9}) instance\(s\) is allowed per prediction",
    ),
    Row(
        Kind.TOO_MUCH,
        "Vertex AI",
        "github.com/RooCodeInc/Roo-Code/issues/5123",
        INPUT,
        said=r"batchSize must be (?P<items>\d{1,9})",
    ),
    Row(
        Kind.TOO_MUCH,
        "Vertex AI",
        "github.com/topoteretes/cognee/pull/4856",
        INPUT,
        said=r"included too many instances",
    ),
    Row(
        Kind.TOO_MUCH,
        "Gemini",
        "github.com/quarkiverse/quarkus-langchain4j/issues/1705",
        INPUT,
        said=r"request payload size exceeds the limit",
    ),
    Row(
        Kind.TOO_MUCH,
        "Gemini",
        "github.com/vercel/ai/issues/16575",
        INPUT,
        said=r"at most (?P<items>\d{1,9}) requests can be in one batch",
    ),
    Row(
        Kind.TOO_MUCH,
        "Cohere",
        "error text",
        INPUT,
        said=r"(texts|inputs|items) must be at most (?P<items>\d{1,9})",
    ),
    Row(
        Kind.TOO_MUCH,
        "FastAPI servers, Jina",
        "pydantic's error texts",
        INPUT,
        said=r"(should have|contain) at most (?P<items>\d{1,9}) items",
    ),
    Row(
        Kind.TOO_MUCH,
        "OpenAI, Mistral and others",
        "error texts",
        frozenset({*INPUT, 429, *SERVER}),
        said=r"tokens? (per|in (a|one|the)) (\w+ )?(request|batch)|payload (is )?(too|size|exceeds)|too large"
        r"|batch size|split into more batches|too many (inputs|texts|items|documents)"
        r"|(array|list) (is )?too (long|large|big)",
    ),
    Row(
        Kind.TOO_LONG,
        "others",
        "a number of tokens or characters, and that it is too many",
        INPUT,
        said=in_any_order(r"(?<![a-z])(tokens?|char(acter)?s?)(?![a-z])", MORE, NUMBER),
    ),
    Row(
        Kind.TOO_LONG,
        "AWS and others",
        "a number of bytes of a text, and that it is too many",
        INPUT,
        said=r"(text|string|sentence|document|content)s?\b.{0,60}(exceed|at most|max|limit|too (long|large)"
        r"|(more|less|fewer|longer|larger) than).{0,60}\d bytes",
    ),
    # Money and rate.
    Row(
        Kind.QUOTA,
        "OpenAI, Anthropic-like gateways, SiliconFlow, DeepInfra, Fireworks",
        "error texts",
        ACCOUNT,
        said=r"billing.hard.limit|account is (not active|suspended)|account suspended|credit balance|top up|recharge"
        r"|(out of|no|not enough|insufficient|exceeded|exhausted) (your )?(account )?(credit|balance|funds)"
        r"|(credits?|balance|funds) (is|are|has been) (insufficient|not enough|exhausted|used up)|spending limit"
        r"|enter a payment method",
        firm=False,
    ),
    Row(
        Kind.QUOTA,
        "OpenAI, Gemini, Cohere",
        "error texts",
        LIMIT,
        said=r"insufficient_quota|exceeded your current quota|(per|this) (month|day)|calls ?/ ?month|daily|monthly",
        firm=False,
    ),
    Row(
        Kind.RATE,
        "Baidu: with status 500, or 200",
        "error lists",
        SERVER,
        said=r"(requests?|qps) limit",
    ),
    Row(
        Kind.RATE,
        "Google, gateways: 403 for what a 429 means",
        "Google's error list",
        {403},
        said=r"quota|limit (was |is |has been )?(exceeded|reached|hit)|exceed.{0,40}\b(requests|calls)\b",
    ),
    Row(
        Kind.BUSY,
        "Ollama, Hugging Face, proxies",
        "error texts",
        BUSY,
        said=r"loading|server busy|overloaded|warming up|no healthy upstream|at capacity",
    ),
    Row(
        Kind.BUSY,
        "Hugging Face, Azure: with a status of the 400s",
        "error texts",
        {403, *LOADING},
        said=r"(currently|still|is|being) (being )?(load(ing|ed)|starting)|not (yet )?ready|warming up"
        r"|overload|at capacity|server (is )?busy",
    ),
    # What says little of the reason comes last.
    Row(
        Kind.PERHAPS_LONG,
        "others",
        "words about a length, with or without a number",
        {400, 422},
        said=in_any_order(r"(?<!unexpected )(?<![a-z])tokens?(?![a-z]| (id|at)\b)", NUMBER)
        + r"|too (long|large|big)|\b(length|longer|shorter|exceeds?)\b|truncat|\u8d85\u957f|\u8fc7\u957f",
    ),
    Row(
        Kind.TEXT,
        "Cloudflare, AWS WAF, Imperva, F5",
        "block pages",
        FILTER,
        said=r"request (was |has been |is )?(blocked|rejected)|have been blocked|web application firewall|\bwaf\b"
        r"|incapsula|security (rule|policy|service)|ray id|mod_?security",
        firm=False,
    ),
)
"""Not the word `billing` alone: rate limits of free accounts, which pass in seconds, name that page too."""
