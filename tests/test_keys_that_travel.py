"""A secret goes to the server that it was given for, and to no other, whatever copy is made of an embedder."""

from __future__ import annotations

import copy

import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.langchain import BridgeEmbeddings, OpenAIEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.llama_index import OpenAIEmbedding as LlamaOpenAI
from embedbridge.options import EmbedderOptions
from embedbridge.providers.voyage import VoyageProvider
from support.cases import each

pytestmark = pytest.mark.one_flow

OPENAI, VOYAGE = "openai:text-embedding-3-small", "voyage:voyage-3.5"
GATEWAY = "http://127.0.0.1:9/v1"
OURS, THEIRS = "sk-of-openai-alone", "pa-of-voyage-alone"

DOORS = {
    "options": EmbedderOptions,
    "embedder": lambda **options: Embedder(**options).options,
    "langchain": BridgeEmbeddings,
    "llama_index": BridgeEmbedding,
    "of langchain": lambda **options: BridgeEmbeddings.of(BridgeEmbedding(**options).embedder),
    "of llama_index": lambda **options: BridgeEmbedding.of(BridgeEmbeddings(**options).embedder),
}
STAND_INS = {
    "stand-in of langchain": lambda model, **options: OpenAIEmbeddings(model=model.partition(":")[2], **options),
    "stand-in of llama_index": lambda model, **options: LlamaOpenAI(model=model.partition(":")[2], **options),
}
"""Of which no copy becomes another provider's: they are their original's."""
WAYS = {
    "model_copy": lambda made, update: made.model_copy(update=update),
    "copy": lambda made, update: made.copy(update=update),
}
doors = pytest.mark.parametrize("door", DOORS)
all_doors = pytest.mark.parametrize("door", DOORS | STAND_INS)
ways = pytest.mark.parametrize("way", WAYS)


def options_of(made):
    return made if isinstance(made, EmbedderOptions) else made.embedder.options


def sent_keys(server):
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.stats.log]


def embed(caller, made):
    caller.embed(Embedder.from_options(made) if type(made) is EmbedderOptions else made.embedder, ["a"])


@doors
@ways
def test_a_key_of_the_environment_is_found_anew_for_another_provider(door, way, caller, server, monkeypatch):
    """And where the environment has none for that provider, the copy says so, and asks nobody."""
    monkeypatch.setenv("OPENAI_API_KEY", OURS)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setattr(VoyageProvider, "official_url", f"{server.url}/voyage/v1")
    made = DOORS[door](model=OPENAI, cache=False)
    with pytest.raises(ConfigurationError, match="'voyage' needs a key"):
        embed(caller, WAYS[way](made, {"model": VOYAGE}))
    monkeypatch.setenv("VOYAGE_API_KEY", THEIRS)
    embed(caller, WAYS[way](made, {"model": VOYAGE}))
    embed(caller, WAYS[way](WAYS[way](made, {"timeout": 30.0}), {"model": VOYAGE}))
    embed(caller, made)
    assert sent_keys(server) == [THEIRS, THEIRS, OURS]


@ways
@each(
    ("door", "update"),
    [*((door, {"model": VOYAGE}) for door in DOORS), *((door, {"base_url": GATEWAY}) for door in DOORS | STAND_INS)],
)
def test_a_key_that_was_given_goes_to_no_other_server(door, way, update):
    made = (DOORS | STAND_INS)[door](model=OPENAI, api_key=OURS, cache=False)
    with pytest.raises(ConfigurationError, match="api_key was given for another server") as caught:
        WAYS[way](made, update)
    assert OURS not in str(caught.value)
    again = WAYS[way](made, update | {"api_key": THEIRS})
    assert options_of(again).api_key.get_secret_value() == THEIRS
    assert options_of(WAYS[way](made, {"timeout": 5.0})).api_key.get_secret_value() == OURS
    assert options_of(copy.deepcopy(made)).api_key.get_secret_value() == OURS


@doors
def test_an_address_that_was_given_is_no_other_providers(door, monkeypatch):
    """The environment's key of the new provider would go to the former provider's gateway."""
    monkeypatch.setenv("VOYAGE_API_KEY", THEIRS)
    made = DOORS[door](model=OPENAI, api_key=OURS, base_url=GATEWAY, cache=False)
    with pytest.raises(ConfigurationError, match="base_url was given for 'openai'"):
        made.model_copy(update={"model": VOYAGE, "api_key": None})
    assert made.model_copy(update={"model": VOYAGE, "api_key": None, "base_url": None}).base_url is None


def test_what_was_stored_takes_its_address_to_no_other_provider(monkeypatch):
    monkeypatch.setenv("VOYAGE_API_KEY", THEIRS)
    made = BridgeEmbedding(model=OPENAI, api_key=OURS, base_url=GATEWAY, cache=False)
    with pytest.raises(ConfigurationError, match="base_url was given for 'openai'"):
        BridgeEmbedding.from_dict(made.to_dict(), model=VOYAGE)
    assert BridgeEmbedding.from_dict(made.to_dict(), api_key=OURS).base_url == GATEWAY


@each(
    "own",
    [
        {"default_headers": {"Authorization": "Bearer of-the-gateway"}},
        {"default_headers": {"x-of-ours": "of-the-gateway"}, "credential_headers": ["x-of-ours"]},
    ],
)
@all_doors
def test_a_header_with_a_credential_goes_to_no_other_server(door, own):
    made = (DOORS | STAND_INS)[door](model=OPENAI, api_key=OURS, provider_options=own, cache=False)
    with pytest.raises(ConfigurationError, match=r"provider_options[:.].* was given for another server") as caught:
        made.model_copy(update={"base_url": GATEWAY, "api_key": "k"})
    assert "of-the-gateway" not in str(caught.value)
    again = made.model_copy(update={"base_url": GATEWAY, "api_key": "k", "provider_options": {}})
    assert not options_of(again).provider_options.get("default_headers")


def test_a_function_that_gives_azures_tokens_gives_them_to_no_other_resource():
    own = {"azure_ad_token_provider": lambda: "token", "api_version": "2024-10-21"}
    made = EmbedderOptions(model="azure:text-embedding-3-small", base_url="https://one.example", provider_options=own)
    with pytest.raises(ConfigurationError, match="azure_ad_token_provider was given for another server"):
        made.model_copy(update={"base_url": "https://two.example"})


@pytest.mark.parametrize("face", [BridgeEmbeddings, BridgeEmbedding])
def test_the_options_of_a_face_hold_no_key_of_the_environment(face, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", OURS)
    made = face(model=OPENAI, cache=False)
    assert made.api_key.get_secret_value() == OURS  # as LangChain's classes show it
    assert dict(made)["api_key"] is None
    monkeypatch.setenv("VOYAGE_API_KEY", THEIRS)
    again = face(
        **{name: value for name, value in dict(made).items() if name in EmbedderOptions.model_fields}
        | {"model": VOYAGE}
    )
    assert again.api_key.get_secret_value() == THEIRS
