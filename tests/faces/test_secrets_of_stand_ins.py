"""Keywords that go to a client, an SDK's or httpx's: what is secret in them is read as given, and told nowhere."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from base64 import b64encode

import pytest

from embedbridge import ConfigurationError, langchain, llama_index

SECRET = "hidden-word"
SAID = (SECRET, b64encode(f"user:{SECRET}".encode()).decode(), "rest@proxy.test")
GOOGLE = {"model": "gemini-embedding-001", "api_key": "k"}
CLIENTS = {
    "langchain_ollama": lambda given: langchain.OllamaEmbeddings(model="m", client_kwargs=given),
    "langchain_ollama_async": lambda given: langchain.OllamaEmbeddings(model="m", async_client_kwargs=given),
    "langchain_ollama_sync": lambda given: langchain.OllamaEmbeddings(model="m", sync_client_kwargs=given),
    "langchain_google": lambda given: langchain.GoogleGenerativeAIEmbeddings(**GOOGLE, client_args=given),
    "ollama": lambda given: llama_index.OllamaEmbedding("m", client_kwargs=given),
    "google": lambda given: llama_index.GoogleGenAIEmbedding(**GOOGLE, http_options={"client_args": given}),
    "google_async": lambda given: llama_index.GoogleGenAIEmbedding(**GOOGLE, http_options={"async_client_args": given}),
}
pytestmark = pytest.mark.filterwarnings("ignore:.* hold for both kinds", "ignore:.* has no effect")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate, its key, and the key's password."""
    folder, openssl = tmp_path_factory.mktemp("certificate"), shutil.which("openssl")
    asked = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=client"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-passout", f"pass:{SECRET}"]
    subprocess.run([openssl, "req", *asked, *files], check=True, capture_output=True)
    return str(folder / "certificate.pem"), str(folder / "key.pem"), SECRET


def check_hidden(made):
    """All that is told of an object."""
    told = [repr(made), str(made), made.model_dump(), made.model_dump_json(), made.stored(), made.embedder.describe()]
    told += [made.embedder.options, made.embedder.space, *([made.to_dict()] if hasattr(made, "to_dict") else [])]
    told += [*map(answer, (lambda: made.model_copy(update={"nothing": 1}), lambda: pickle.dumps(made)))]
    for each in told:
        assert not any(word in f"{each} {each!r}" for word in SAID), each


def answer(function):
    """What a function gives, or the words of its error."""
    try:
        return function()
    except ConfigurationError as error:
        return str(error)


@pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)
def test_a_password_for_a_client_is_told_nowhere_and_sent_on(make, certificate):
    given = [{"cert": certificate}, {"proxy": f"http://user:{SECRET}@rest@proxy.test:1"}]
    ollama = [{"auth": ("user", SECRET)}, {"headers": {"X-Team": SECRET}}]
    for arguments in given + (ollama if make({}).provider == "ollama" else []):
        made = make(arguments)
        check_hidden(made)
        assert made.embedder.options.provider_options.keys() & {"headers", *arguments}
        assert hasattr(made, "http_options") or arguments in made.__dict__.values()


def test_headers_that_have_no_effect_are_in_no_pickle(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    for headers in ({"Authorization": SECRET}, SECRET):
        check_hidden(langchain.OpenAIEmbeddings(headers=headers))
    check_hidden(langchain.OpenAIEmbeddings(openai_proxy=f"http://user:{SECRET}@rest@proxy.test:1"))


def test_two_addresses_are_refused_without_the_password_in_one():
    place = {"http_options": {"base_url": "http://127.0.0.1:1"}, "base_url": f"http://user:{SECRET}@127.0.0.1:2"}
    with pytest.raises(ConfigurationError, match="base_url says another thing") as caught:
        llama_index.GoogleGenAIEmbedding(**GOOGLE, **place)
    assert SECRET not in str(caught.value)


def secret():
    return SECRET


AZURE = {"azure_endpoint": "http://127.0.0.1:1", "model": "m", "api_version": "1"}
HEADER = {"Authorization": SECRET}
AWS = {"aws_access_key_id": "a", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
BASIC = {"client_kwargs": {"auth": ("user", SECRET)}}
MOVED = [
    (langchain.AzureOpenAIEmbeddings, AZURE, {"azure_ad_token": SECRET}, "azure_endpoint", {}),
    (langchain.AzureOpenAIEmbeddings, AZURE, {"azure_ad_async_token_provider": secret}, "azure_endpoint", {}),
    (llama_index.AzureOpenAIEmbedding, AZURE, {"azure_ad_token_provider": secret}, "azure_endpoint", {}),
    (langchain.OpenAIEmbeddings, {}, {"default_headers": HEADER}, "base_url", {"model_kwargs": {"user": "u"}}),
    (langchain.OpenAIEmbeddings, {}, {"openai_api_key": secret}, "base_url", {"model_kwargs": {"user": "u"}}),
    (llama_index.OpenAIEmbedding, {}, {"default_headers": HEADER}, "api_base", {"additional_kwargs": {"user": "u"}}),
    (langchain.OllamaEmbeddings, {"model": "m"}, BASIC, "base_url", {"keep_alive": 5}),
    (langchain.BedrockEmbeddings, {}, AWS, "endpoint_url", {"model_kwargs": {"normalize": False}}),
]


@pytest.mark.parametrize(("kind", "given", "credential", "address", "more"), MOVED)
def test_a_credential_goes_to_no_other_server_beside_another_keyword(
    kind, given, credential, address, more, monkeypatch
):
    """What else changed of the provider's options passed for the credential, given anew."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    made, update = kind(**given, **credential), {address: "http://127.0.0.1:2", **more}
    with pytest.raises(ConfigurationError, match=r"was given for another server: give \w+ in") as caught:
        made.model_copy(update=update)
    assert SECRET not in str(caught.value)
    assert next(name for name in credential if f"give {name} " in str(caught.value))
    assert made.model_copy(update={**update, **credential}) != made
    assert made.model_copy(update=more).embedder


def test_different_settings_for_the_two_kinds_of_calls_to_google_are_refused():
    both = {"client_args": {"verify": True}, "async_client_args": {"proxy": "http://proxy.test:1"}}
    with pytest.raises(ConfigurationError, match="write client_args"):
        llama_index.GoogleGenAIEmbedding(**GOOGLE, http_options=both)
    with pytest.warns(UserWarning, match="hold for both kinds of calls"):
        made = llama_index.GoogleGenAIEmbedding(**GOOGLE, http_options={"async_client_args": {"verify": True}})
    assert made.embedder.options.provider_options["verify"] is True
