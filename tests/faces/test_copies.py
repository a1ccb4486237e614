"""Copies and pickles of every stand-in: the same requests as by the original object, and equal to it."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy

import pytest
from pydantic import PrivateAttr

import typed_stand_ins
import typed_stand_ins_of_llama_index
from embedbridge import langchain, llama_index

from .conftest import AS_ORIGINALS, document_vectors, query_vector
from .test_google_stand_ins import Token

MODULES = (typed_stand_ins, typed_stand_ins_of_llama_index)
HOSTED = [
    pytest.param(calls, id=f"{module.__name__[16:]}-{calls.__name__}") for module in MODULES for calls in module.HOSTED
]
SHOWN = ("of_openai", "of_google")
"""One that asks by an SDK and one that asks by our client, in both frameworks; the others show it again."""
TEXTS = ["one text", "another text"]


def travelled(made):
    """What another process makes of its pickle."""
    return pickle.loads(pickle.dumps(made))  # noqa: S301 - our own


FORMS = {
    "copy": copy,
    "deep copy": deepcopy,
    "model_copy": lambda made: made.model_copy(),
    "deep model_copy": lambda made: made.model_copy(deep=True),
    "unpickled": travelled,
    "copy of unpickled": lambda made: travelled(made).model_copy(),
    "deep copy of unpickled": lambda made: deepcopy(travelled(made)),
    "unpickled copy": lambda made: travelled(made.model_copy()),
    "unpickled twice": lambda made: travelled(travelled(made)),
}
OF_CALLS = {
    "OpenAIEmbeddings": [{"chunk_size": 1}, {"dimensions": 8, "user": "u"}],
    "AzureOpenAIEmbeddings": [{"chunk_size": 1}, {"dimensions": 8, "user": "u"}],
    "GoogleGenerativeAIEmbeddings": [{"batch_size": 1}, {"task_type": "clustering", "output_dimensionality": 256}],
}
"""Keywords of one call."""
STAYS = {"default_headers", "additional_headers", "http_options", "client_kwargs", "use_azure_ad"}
"""Keywords of objects of which not all can be pickled."""
UNCUT = "text-embedding-ada-002"
"""A model without `dimensions`."""
pytestmark = [
    pytest.mark.usefixtures("vendors_keys"),
    pytest.mark.filterwarnings(*AS_ORIGINALS, "ignore:.*verify=False", "ignore:.* sends GENERIC_INDEX"),
]


def asked(made, server):
    """What was sent for documents and a query, also with the keywords of a call."""
    server.reset()
    document_vectors(made, TEXTS)
    query_vector(made, TEXTS[0])
    for more in OF_CALLS.get(type(made).__name__, []) if hasattr(made, "embed_query") else []:
        made.embed_documents(TEXTS, **more)
        made.embed_query(TEXTS[0], **{name: value for name, value in more.items() if name != "batch_size"})
    return sorted(
        (one.method, one.target, one.headers.get("authorization"), one.body) for one in server.requests if one.items
    )


def uncached(made):
    """An object of the same keywords that asks the server each time, and has its keys from the environment."""
    given = {name: getattr(made, name) for name in made.model_fields_set - made._secret_fields()}
    return type(made)(**given, **{**made._ours, "cache": False})


def check_forms(made, server):
    """Each form asks as the object itself, and is equal to it."""
    wanted = asked(made, server)
    assert wanted
    wrong = {}
    for name, form in FORMS.items():
        again = form(made)
        if again != made or type(again) is not type(made):
            wrong[name] = "another", again, made
        elif (sent := asked(again, server)) != wanted:
            wrong[name] = sent, wanted
    assert wrong == {}


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(*each.values, id=each.id, marks=() if each.id.endswith(SHOWN) else pytest.mark.slow)
        for each in HOSTED
    ],
)
def test_each_form_of_a_stand_in_asks_as_the_object_itself(calls, server):
    check_forms(uncached(calls(server.url)[0]), server)


@pytest.mark.slow
@pytest.mark.parametrize("calls", HOSTED)
def test_each_form_of_each_call_asks_as_the_object_itself(calls, server):
    for made in calls(server.url)[1:]:
        stays = STAYS & made.model_fields_set or made._ours.get("observers") or getattr(made, "model", "") == UNCUT
        if not stays:
            check_forms(uncached(made), server)


def google(**keywords):
    return langchain.GoogleGenerativeAIEmbeddings(model="gemini-embedding-001", **keywords)


def test_what_asks_vertex_ai_asks_it_in_each_form(server, monkeypatch):
    """A copy of what came out of a pickle asked the Gemini API, where credentials or a variable had decided that."""
    monkeypatch.delenv("GOOGLE_API_KEY")
    place, http = {"project": "p", "location": "us"}, {"base_url": server.url}
    made = [
        llama_index.GoogleGenAIEmbedding("gemini-embedding-001", vertexai_config=place, http_options=http),
        llama_index.GoogleGenAIEmbedding(
            "gemini-embedding-001", vertexai_config={**place, "credentials": Token()}, http_options=http
        ),
        google(**place, base_url=server.url),
        google(project="p", location="us", credentials=Token()),
    ]
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us")
    made.append(google(credentials=Token()))
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    made += [google(), llama_index.GoogleGenAIEmbedding("gemini-embedding-001")]
    pickles = [pickle.dumps(each) for each in made]
    monkeypatch.delenv("GOOGLE_GENAI_USE_VERTEXAI")
    for each, content in zip(made, pickles, strict=True):
        again = pickle.loads(content)  # noqa: S301 - our own
        for form in (copy, deepcopy, type(again).model_copy, lambda one: travelled(one).model_copy()):
            assert form(again).embedder.space == each.embedder.space
            assert form(again).embedder.options.model == "vertex:gemini-embedding-001"
    stored = made[0].to_dict()
    assert llama_index.GoogleGenAIEmbedding.from_dict(stored).embedder.space == made[0].embedder.space
    assert stored["vertexai_config"] == place


class Counting(langchain.OpenAIEmbeddings):
    """Of an application, with a field and private attributes of its own."""

    team: str = "none"
    _calls: list[str] = PrivateAttr(default_factory=list)
    _later: object = PrivateAttr()


class CountingBridge(langchain.BridgeEmbeddings):
    """The same over our own class."""

    _calls: list[str] = PrivateAttr(default_factory=list)


class CountingBridgeOfLlamaIndex(llama_index.BridgeEmbedding):
    """The same for LlamaIndex."""

    _calls: list[str] = PrivateAttr(default_factory=list)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_private_attributes_of_an_applications_class_are_those_of_the_object(form):
    kinds = (
        lambda: Counting(team="birds"),
        lambda: CountingBridge("fake:8"),
        lambda: CountingBridgeOfLlamaIndex("fake:8"),
    )
    for kind in kinds:
        made = kind()
        made._calls.append("first")
        again = form(made)
        assert again._calls == ["first"]
        assert again == made
        assert kind() != made
        assert form(kind()) == kind()


def test_objects_of_one_class_are_equal_where_their_keywords_are():
    for kind, changed in (
        (langchain.OpenAIEmbeddings, {"model": "text-embedding-3-large"}),
        (langchain.OpenAIEmbeddings, {"cache": False}),
        (llama_index.OpenAIEmbedding, {"embed_batch_size": 7}),
        (langchain.BridgeEmbeddings, {"batch_size": 8}),
        (llama_index.BridgeEmbedding, {"too_long": "error"}),
    ):
        assert kind() == kind()
        assert kind() != kind(**changed)
        assert kind(**changed) == kind().model_copy(update=changed)
        assert kind() != langchain.CohereEmbeddings(model="embed-v4.0")


def test_another_option_that_a_client_has_goes_with_a_pickle_and_its_copies():
    nvidia = langchain.NVIDIAEmbeddings(model="nvidia/nv-embedqa-e5-v5", verify_ssl=False)
    proxied = google(client_args={"proxy": "http://proxy.test:1"})
    for made in (nvidia, proxied):
        for form in FORMS.values():
            assert form(made).embedder.options.provider_options == made.embedder.options.provider_options
