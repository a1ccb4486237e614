"""Neither a key nor a text is in anything that is shown, logged, told or kept."""

import copy
import json
import pickle
import pprint

import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    EmbeddingError,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
)
from embedbridge.testing import contains

from . import case
from .apis import KEY, each_client
from .client import SECRET, about, corpus

TEXT = corpus(1)[0]
QUOTING = f"message=the key {KEY} and the text '{TEXT}' are both wrong"

ENDINGS = {
    f"401:{QUOTING}": AuthenticationError,
    f"404:{QUOTING}": ConfigurationError,
    f"400:{QUOTING}": InvalidInputError,
    f"400:{QUOTING}, maximum context length exceeded": InputTooLongError,
    f"429:{QUOTING}, you exceeded your current quota": QuotaExceededError,
    f"429:{QUOTING}": RateLimitTimeoutError,
    f"500:{QUOTING}": ProviderUnavailableError,
    "reset:at=mid": ProviderUnavailableError,
    "truncate": InvalidResponseError,
    "nodata": InvalidResponseError,
    "redirect": InvalidResponseError,
}
"""Fault → the error that a call ends with."""


@case(67)
def test_no_error_log_event_warning_or_cache_file_holds_a_key_or_a_text(client, server, caplog, recwarn):
    caplog.set_level("DEBUG")
    own = {"max_retries": 1, "too_long": "error"}
    embedder = client.open(**own)
    for fault, kind in ENDINGS.items():
        with about(fault):
            server.reset()
            server.on(contains(TEXT), fault)
            client.fails(kind, [TEXT], embedder=embedder)
            assert SECRET not in caplog.text
    server.reset()
    server.on(contains(TEXT), "hang:s=60")
    client.fails(DeadlineExceededError, [TEXT], deadline=0.3)
    server.reset()
    client.embed([TEXT], **own)
    assert len(caplog.records) > len(ENDINGS)
    told = f"{caplog.text} {client.events} {[str(warning.message) for warning in recwarn]}"
    assert SECRET not in told
    assert KEY not in told
    client.caller.close()
    kept = b"".join(path.read_bytes() for path in client.folder.rglob("*") if path.is_file())
    assert kept
    assert SECRET.encode() not in kept
    assert KEY.encode() not in kept


@case(67)
def test_what_a_provider_quotes_beside_its_message_is_left_out_too(client, server):
    server.on(contains(TEXT), f"400:code={QUOTING};type={QUOTING};retry-after={QUOTING};x-ratelimit-reset={QUOTING}")
    client.fails(InvalidInputError, [TEXT])
    server.reset()
    server.on(contains(TEXT), f"truncate+ctype:type=text/{KEY} {TEXT}")
    client.fails(InvalidResponseError, [TEXT])


@case(67)
@each_client
def test_long_words_of_a_provider_are_cut(client, server):
    server.on(lambda _: True, f"500:message={'blah ' * 1000}")
    error = client.fails(ProviderUnavailableError, corpus(1), max_retries=0)
    assert len(str(error)) < 400


@case(67)
@each_client
def test_what_a_caller_did_wrong_is_told_without_the_text(client):
    for texts in ([TEXT, 3], [TEXT, f"{TEXT}\ud800"], [TEXT, " "]):
        with pytest.raises(EmbeddingError) as caught:
            client.caller.embed(client.open(), texts)
        assert SECRET not in f"{caught.value!r} {caught.value.__context__!r} {vars(caught.value)}"


@case(66)
def test_nothing_that_shows_an_embedder_shows_its_key(client):
    embedder = client.open(cache=False)
    client.embed(corpus(1), embedder=embedder)
    faces = [embedder.as_langchain(), embedder.as_llama_index()]
    provider = embedder._parts.provider
    inner = [embedder._parts, embedder._shared, provider, provider.config, provider.options, provider.identity]
    for thing in [
        embedder,
        copy.copy(embedder),
        copy.deepcopy(embedder),
        embedder.options,
        embedder.space,
        *faces,
        *inner,
    ]:
        shown = f"{thing} {thing!r} {pprint.pformat(thing)} {_inside(thing)}"
        assert KEY not in shown, type(thing)
    for model in [embedder.options, *faces]:
        assert (
            KEY not in f"{model.model_dump()} {model.model_dump_json()} {json.dumps(model.model_dump(), default=str)}"
        )
    for thing in [embedder, *faces]:
        assert KEY.encode() not in pickle.dumps(thing)
        assert KEY.encode() not in pickle.dumps(copy.deepcopy(thing))
    llama_index = faces[1]
    assert KEY not in f"{llama_index.to_dict()} {llama_index.to_json()}"


def _inside(thing):
    return repr(getattr(thing, "__dict__", ""))


@case(66)
def test_a_copy_still_has_the_key_and_a_pickle_asks_the_environment_for_one(client, server, monkeypatch):
    embedder = client.open()
    client.embed(corpus(1), embedder=copy.deepcopy(embedder))
    variables = type(embedder._parts.provider).key_variables
    for variable in variables:
        monkeypatch.setenv(variable, "another-key")
    thawed = pickle.loads(pickle.dumps(client.open(observers=())))  # noqa: S301 - our own
    server.reset()
    client.caller.embed(thawed, corpus(1, "new"))
    headers = server.requests[0].headers
    assert KEY not in str(headers)
    assert ("another-key" in str(headers)) == bool(variables)
