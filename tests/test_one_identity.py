"""One identity over all providers: whatever differs on the wire differs in key, space, stored data and pickle."""

from __future__ import annotations

import itertools
import json
import pickle
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedbridge import ConfigurationError, Embedder
from embedbridge.testing import FaultServer
from support.golden import Asked, keys_of, surroundings, theirs

NOT_OURS = (
    "host",
    "content-length",
    "x-stainless-retry-count",
    "x-stainless-read-timeout",
    "authorization",
    "api-key",
    "x-goog-api-key",
    "cookie",
)
"""Headers with lengths, addresses, counters and times, and credentials."""
CUTS = ("truncate", "truncation", "truncation_direction")
"""Fields that ask the server what to do with texts that are too long."""
ADDRESS = {
    "openai": "OPENAI_BASE_URL",
    "azure": "AZURE_OPENAI_ENDPOINT",
    "cohere": "CO_API_URL",
    "ollama": "OLLAMA_HOST",
    "nvidia": "NVIDIA_BASE_URL",
}
"""Where each SDK finds its server; Voyage's has no such variable."""
CREDENTIALS = ("NVIDIA_API_KEY", "JINA_API_KEY", "OLLAMA_API_KEY", "CO_API_KEY", "AZURE_OPENAI_AD_TOKEN")

# What may be varied, by provider. Few values each, so that equal requests occur too.

few = st.sampled_from(["a", "b"])
names = st.sampled_from(["x-model", "X-Tenant", "x-api-token", "openai-organization", "x-secret"])
headers = st.dictionaries(names, few, max_size=2)
credentials = st.dictionaries(st.sampled_from(["X-Goog-Api-Key", "Cookie"]), few, max_size=1)


def options(**own: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these, or none."""
    return st.fixed_dictionaries({}, optional=own)


ambient = st.fixed_dictionaries(
    {},
    optional={
        "OPENAI_CUSTOM_HEADERS": st.sampled_from(["x-model: a", "x-model: b", "X-Other: a\nx-tenant: b"]),
        "OPENAI_ORG_ID": few,
        "OPENAI_PROJECT_ID": few,
    },
)
request_options = {
    "body": st.dictionaries(
        few, st.sampled_from([1, 1.0, True, "1", "é", None, {"c": [1], "d": ""}, {"d": "", "c": [1]}]), max_size=2
    ),
    "query": st.dictionaries(few, st.sampled_from(["a", "é", "", 1]), max_size=2),
    "encoding_format": st.sampled_from(["float", "base64", None]),
    "role_body": st.sampled_from([{}, {"document": {"task": "d"}}, {"query": {"task": "q"}}]),
    "single": st.booleans(),
    "request_items": st.integers(1, 2),
}
gateway = {"default_headers": st.builds(lambda one, other: one | other, headers, credentials)}
asker = {"user": few, "organization": few, "project": few}
length = st.sampled_from(["truncate", "mean", "error"])
PROVIDERS = {
    "openai": ("openai:our-model", "/v1", options(**request_options, **gateway, **asker)),
    "azure": (
        "azure:our-model",
        "",
        options(**gateway, **asker, azure_deployment=few, api_version=st.sampled_from(["2024-10-21", "2024-06-01"])),
    ),
    "voyage": ("voyage:voyage-4", "/voyage/v1", options(**request_options)),
    "cohere": ("cohere:embed-v4.0", "", options()),
    "ollama": (
        "ollama:our-model",
        "",
        options(
            headers=headers,
            num_ctx=st.sampled_from([512, 2048]),
            keep_alive=st.sampled_from([60, "5m"]),
            options=st.dictionaries(
                st.sampled_from(["num_gpu", "temperature"]), st.sampled_from([0, 1, "1"]), max_size=1
            ),
        ),
    ),
}
fixed_roles = {name: values for name, values in request_options.items() if name != "role_body"}
PROVIDERS |= {
    "nvidia": (
        "nvidia:our-model",
        "/nvidia/v1",
        options(**fixed_roles, **gateway, truncate=st.sampled_from(["START", "END"])),
    ),
    "jina": ("jina:jina-embeddings-v3", "/jina/v1", options(**fixed_roles, **gateway)),
    "tei": (
        "tei:BAAI/bge-small-en-v1.5",
        "/tei",
        options(
            **gateway,
            normalize=st.booleans(),
            prompt_name=st.sampled_from([{"document": "d"}, {"query": "q"}]),
            truncation_direction=st.sampled_from(["Left", "Right"]),
            request_items=st.integers(1, 2),
        ),
    ),
}
general = st.fixed_dictionaries(
    {},
    optional={
        "dimensions": st.sampled_from([256, 512]),
        "too_long": length,
        "timeout": st.sampled_from([5, 30]),
        "concurrency": st.integers(1, 2),
        "document_prefix": st.sampled_from(["", "p: "]),
    },
)


@st.composite
def settings_of(draw, provider):
    """Options and variables for one embedder."""
    model, path, own = PROVIDERS[provider]
    common = draw(general)
    if provider in {"voyage", "cohere", "nvidia", "jina"}:
        common.pop("document_prefix", None)
    if provider == "tei":
        common.pop("dimensions", None)
    given_options = draw(own)
    if {"truncate", "truncation_direction"} & given_options.keys():
        common.pop("too_long", None)
    if provider == "azure":
        given_options.setdefault("api_version", "2024-10-21")
    if given_options.get("single"):
        given_options.pop("request_items", None)
    if given_options.get("role_body") or given_options.get("prompt_name"):
        common.pop("document_prefix", None)
    variables = draw(ambient) if provider in {"openai", "azure", "voyage"} else {}
    return model, path, common | {"provider_options": given_options}, variables


every_variable = st.builds(
    lambda own, version, secrets: own | version | secrets,
    ambient,
    st.fixed_dictionaries({}, optional={"OPENAI_API_VERSION": st.sampled_from(["2024-10-21", "2024-06-01"])}),
    st.dictionaries(st.sampled_from(CREDENTIALS), few, max_size=1),
)
"""All that the SDKs read and that may reach a request, whether or not the provider is theirs."""


@dataclass(frozen=True)
class Setting:
    """One embedder to be."""

    model: str
    options: dict[str, Any]
    variables: dict[str, str]
    path: str | None = None
    """Where the server has its API; None: nobody is asked over the network."""
    variable: str | None = None
    """What names the server; None: `base_url`."""


@st.composite
def hosted(draw):
    provider = draw(st.sampled_from(sorted(PROVIDERS)))
    model, path, options, _ = draw(settings_of(provider))
    variable = draw(st.sampled_from([None, ADDRESS[provider]])) if provider in ADDRESS else None
    return Setting(model, options, draw(every_variable), path, variable)


def unasked(model, always=None, **sometimes):
    """Of what asks no server."""
    prefixes = {"document_prefix": st.sampled_from(["", "p: "])}  # always: a model may bring one
    options = st.fixed_dictionaries(prefixes, optional={"concurrency": st.integers(1, 2)})
    made = st.builds(
        lambda one, other: one | {"provider_options": other},
        options,
        st.fixed_dictionaries(always or {}, optional=sometimes),
    )
    return st.builds(Setting, model, made, every_variable)


fakes = unasked(st.sampled_from(["fake:8", "fake:16"]), latency=st.just(0.0))
wrapped = st.sampled_from(["langchain", "llama-index"]).flatmap(
    lambda name: unasked(st.sampled_from([f"{name}:a", f"{name}:b"]), {"embeddings": st.just(name)})
)
local = unasked(
    st.just("sentence-transformers:./a-folder"),
    device=st.just("cpu"),
    dtype=st.sampled_from(["float16", "bfloat16"]),
    batch_tokens=st.integers(1, 2),
)
several = st.lists(hosted() | hosted() | fakes | wrapped | local, min_size=6, max_size=6)


@pytest.fixture(scope="module")
def recording():
    with FaultServer() as server:
        yield server


def sent(server):
    request = next(each for each in server.requests if each.method == "POST")
    kept = {name: value for name, value in request.headers.items() if name not in NOT_OURS}
    return {"target": request.target, "bytes": request.body, "body": request.payload, "headers": kept}


def without_length(request):
    """A request for a short text, which no limit and no policy can touch."""
    body = {name: value for name, value in request["body"].items() if name not in CUTS}
    if isinstance(body.get("options"), dict):
        kept = {name: value for name, value in body["options"].items() if name not in {"num_ctx", "num_batch"}}
        body["options"] = kept
        if not kept:
            del body["options"]
    return request | {"body": json.dumps(body), "bytes": b""}  # which tells 1, 1.0 and True apart, and orders of names


def called(setting):
    """What stands for the request where nothing is sent: the name, the text, and what chooses weights."""
    own = setting.options["provider_options"]
    body = {"model": setting.model, "text": setting.options["document_prefix"] + "short"}
    return {"body": body | {"dtype": own.get("dtype")}}


def found_of(server, setting):
    """Request, key, space, stored data, and the key of a pickle, None where it says why there can be none."""
    asked, own = Asked(), dict(setting.options)
    variables = dict(setting.variables)
    if setting.path is not None:
        place = server.url + setting.path
        if setting.variable:
            variables[setting.variable] = place
        else:
            own["base_url"] = place
    held = dict(own["provider_options"])
    if "embeddings" in held:
        held["embeddings"] = theirs(held["embeddings"])
    with surroundings(variables):
        server.reset()
        with Embedder(setting.model, cache=asked, **own | {"provider_options": held}) as embedder:
            key = keys_of(embedder, asked, "short", "document")[0]
            data, space = embedder.as_llama_index().to_dict(), embedder.space.fingerprint
            try:
                twin = pickle.loads(pickle.dumps(embedder))  # noqa: S301 - our own
            except ConfigurationError as error:
                assert "cannot go to another process" in str(error)  # noqa: PT017 - either answer will do
            else:
                assert keys_of(twin, twin.options.cache, "short", "document")[0] == key
                assert twin.space.fingerprint == space
            if setting.path is None:
                return called(setting), key, data, space
        with Embedder(setting.model, cache=False, **own | {"provider_options": held}) as embedder:
            embedder.embed(["short"])
        return sent(server), key, data, space


def compare(server, chosen):
    found = [found_of(server, setting) for setting in chosen]
    for (one, key, data, space), (other, key_2, data_2, space_2) in itertools.combinations(found, 2):
        assert (key == key_2) == (without_length(one) == without_length(other)), (one, other)
        if one != other:
            assert json.dumps(data, sort_keys=True) != json.dumps(data_2, sort_keys=True)
            assert space != space_2


everything = list(HealthCheck)


@settings(deadline=None, max_examples=5, suppress_health_check=everything)
@given(chosen=several)
def test_what_differs_in_a_request_differs_everywhere_else(recording, chosen):
    """C2, C3, C4, C8: all pairs of six embedders, over providers, options, headers, variables and pickles."""
    compare(recording, chosen)


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=everything)
@given(chosen=several)
def test_what_differs_in_a_request_differs_everywhere_else_in_many_ways(recording, chosen):
    compare(recording, chosen)
