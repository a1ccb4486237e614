"""Options: their defaults, what is said of a wrong one, and what never shows."""

from __future__ import annotations

import asyncio
import math
import pickle
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder, EmbedderOptions
from embedbridge.cache import MemoryCache
from embedbridge.options import NUMBERS, explain_options
from embedbridge.reduction import PCA
from support.cases import each

SECRET = "sk-very-secret"
DEFAULTS = {
    "model": "local:all-MiniLM-L6-v2",
    "dimensions": None,
    "reduction": None,
    "normalize": None,
    "query_prefix": None,
    "document_prefix": None,
    "too_long": "truncate",
    "empty": "error",
    "cache": True,
    "cache_ttl": None,
    "cache_size_limit": None,
    "batch_size": None,
    "concurrency": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "timeout": 60.0,
    "deadline": None,
    "max_cost": None,
    "batch": "pay",
    "api_key": None,
    "base_url": None,
    "show_progress": False,
    "observers": (),
    "provider_options": {},
}


def _shown(value):
    """A test's id, which is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@each("name", DEFAULTS)
def test_every_option_has_the_default_that_users_rely_on(name):
    assert getattr(EmbedderOptions(), name) == DEFAULTS[name]


@each("name", sorted(EmbedderOptions.model_fields))
def test_an_unknown_option_is_answered_with_all_that_there_are(name):
    with pytest.raises(ConfigurationError, match=rf"unknown option 'colour'; .*the options are .*\b{name}\b"):
        EmbedderOptions(colour="blue")


def test_what_only_a_provider_knows_is_told_where_to_go():
    with pytest.raises(ConfigurationError, match=r"^unknown option 'device'; .*write provider_options={'device': …}"):
        EmbedderOptions(device="cuda")


@pytest.mark.parametrize(
    "known",
    ["openai:text-embedding-3-small", "voyage:voyage-4", "local:BAAI/bge-m3", "cohere:embed-v4.0"],
)
def test_a_model_without_its_provider_is_answered_with_the_whole_name(known):
    with pytest.raises(ConfigurationError, match=f"^model: did you mean '{known}'"):
        EmbedderOptions(known.partition(":")[2])


@pytest.mark.parametrize(
    ("wrong", "right"), [("dimension", "dimensions"), ("batchsize", "batch_size"), ("apikey", "api_key")]
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(wrong, right):
    with pytest.raises(ConfigurationError, match=f"did you mean '{right}'"):
        EmbedderOptions(**{wrong: 1})


@each(
    ("name", "value"),
    [
        *(("model", value) for value in ("", "openai", ":m", "openai:", None, 3)),
        *(("dimensions", value) for value in (0, -1, 2.5, "many")),
        *(("too_long", value) for value in ("cut", None, True)),
        *(("empty", value) for value in ("skip", None)),
        *(("cache", value) for value in (None, 3, "", object(), MemoryCache)),
        *(("cache_ttl", value) for value in (0, -1, math.nan)),
        *(("cache_size_limit", value) for value in (0, -1)),
        *(("batch_size", value) for value in (0, -1, 0.5)),
        *(("concurrency", value) for value in (0, -1)),
        *(("requests_per_minute", value) for value in (0, -1, math.nan)),
        *(("tokens_per_minute", value) for value in (0, -1, math.nan)),
        *(("max_retries", value) for value in (-1, 1.5, None)),
        *(("timeout", value) for value in (0, -1, math.nan, None)),
        *(("deadline", value) for value in (0, -1, math.nan)),
        *(("max_cost", value) for value in (-1, math.nan)),
        *((name, value) for name in NUMBERS for value in (True, False)),
        *(("query_prefix", value) for value in (3, ["q: "], "\ud800")),
        *(("document_prefix", value) for value in (3, "\ud800")),
        *(("observers", value) for value in (print, [3], "print", [asyncio.sleep])),
        *(("provider_options", value) for value in (None, [("device", "cpu")], "cpu")),
        ("base_url", 5),
        ("api_key", 5),
        ("normalize", "perhaps"),
        *(("reduction", value) for value in (5, ["pca.npz"])),
        ("show_progress", "perhaps"),
    ],
)
def test_a_bad_value_is_refused_by_the_options_name(name, value):
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        EmbedderOptions(**{name: value})


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        EmbedderOptions(timeout=0, batch_size=0, colour="blue")
    assert all(name in str(caught.value) for name in ("timeout", "batch_size", "colour"))


@pytest.mark.parametrize(
    "options",
    [
        {"apikey": SECRET},
        {"api_key": [SECRET]},
        {"api_key": {"key": SECRET}},
        {"api_key": SECRET, "timeout": 0},
        {"base_url": [f"https://me:{SECRET}@host"]},
        {"provider_options": [SECRET]},
    ],
)
def test_an_error_shows_no_value(options):
    with pytest.raises(ConfigurationError) as caught:
        EmbedderOptions(**options)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


HIDING = {
    "a key": {"api_key": SECRET},
    "an address": {"base_url": f"https://me:{SECRET}@host/v1"},
    "a cache": {"cache": f"redis://:{SECRET}@host:6379/0"},
    "caches": {"cache": ["memory", f"redis://:{SECRET}@host:6379/0"]},
    "a cache's query": {"cache": f"redis://host:6379/0?ssl_cert_reqs=none&password={SECRET}"},
    "caches' queries": {"cache": ["memory", f"redis://host:6379/0?password={SECRET}&ssl_cert_reqs=none"]},
    "headers": {"model": "openai:m", "provider_options": {"default_headers": {"x-gateway": SECRET}}},
    "headers of Ollama": {"model": "ollama:m", "provider_options": {"headers": {"x-gateway": SECRET}}},
    "a token": {"model": "azure:m", "provider_options": {"azure_ad_token": SECRET}},
    "a proxy": {"model": "cohere:m", "provider_options": {"proxy": f"http://me:{SECRET}@host"}},
    "an unknown option": {"model": "openai:m", "provider_options": {"signature": SECRET}},
    "a password": {"provider_options": {"password": SECRET, "device": "cpu"}},
}
hiding = pytest.mark.parametrize("options", HIDING.values(), ids=HIDING)


@hiding
@each(
    "shown",
    [
        repr,
        str,
        format,
        EmbedderOptions.model_dump,
        EmbedderOptions.model_dump_json,
        lambda options: options.model_dump(mode="json"),
    ],
)
def test_secrets_never_show(options, shown):
    assert SECRET not in str(shown(EmbedderOptions(**options)))


@hiding
def test_secrets_stay_out_of_a_pickle_or_are_refused(options):
    try:
        pickled = pickle.dumps(EmbedderOptions(**options))
    except ConfigurationError as error:
        pickled = str(error).encode()
        assert "provider_options" in options
    assert SECRET.encode() not in pickled


@hiding
def test_secrets_are_kept_for_whoever_needs_them(options):
    *_, name = options
    kept = getattr(EmbedderOptions(**options), name)
    assert (kept.get_secret_value() if name == "api_key" else kept) == options[name]


@pytest.mark.parametrize("key", [SECRET, SecretStr(SECRET)])
def test_a_key_is_text_or_a_secret(key):
    assert EmbedderOptions(api_key=key).api_key.get_secret_value() == SECRET


def test_a_repr_shows_what_was_set_and_nothing_else():
    options = EmbedderOptions(model="fake:8", timeout=5, api_key=SECRET)
    assert repr(options) == "EmbedderOptions(model='fake:8', timeout=5.0, api_key=SecretStr('**********'))"


def test_a_dump_makes_the_same_options_again():
    options = EmbedderOptions(model="fake:8", dimensions=4, cache=Path("here"), provider_options={"latency": 0.5})
    again = EmbedderOptions(**options.model_dump())
    assert again.model_dump() == options.model_dump()
    assert again.provider_options == {"latency": 0.5}


def test_the_order_of_a_list_of_caches_and_the_object_itself_are_kept():
    cache = MemoryCache()
    assert EmbedderOptions(cache=cache).cache is cache
    assert EmbedderOptions(cache=[cache, "here"]).cache == [cache, "here"]


def test_a_fitted_reduction_is_saved_before_it_is_used():
    with pytest.raises(ConfigurationError, match=r"pca\.save\('pca\.npz'\), then reduction='pca\.npz'"):
        EmbedderOptions(reduction=PCA(2))


def test_observers_may_come_in_a_list_or_not_at_all():
    assert EmbedderOptions(observers=[print, repr]).observers == (print, repr)
    assert EmbedderOptions(observers=None).observers == ()


def test_a_dictionary_that_is_changed_later_changes_no_options():
    own = {"latency": 0.0}
    options = EmbedderOptions(model="fake:8", provider_options=own)
    own["latency"] = 9.0
    assert options.provider_options == {"latency": 0.0}


def test_an_embedder_takes_the_same_options_by_the_same_names():
    options = {"model": "fake:8", "dimensions": 4, "cache": False, "max_retries": 2}
    assert Embedder(**options).options.shared() == EmbedderOptions(**options).shared()


def test_an_option_without_its_keyword_is_told_where_to_give_it_one(monkeypatch):
    monkeypatch.setitem(EmbedderOptions.model_fields, "greeting", EmbedderOptions.model_fields["timeout"])
    with pytest.raises(TypeError, match=r"give greeting a keyword in keywords\.py"):
        explain_options(EmbedderOptions)
