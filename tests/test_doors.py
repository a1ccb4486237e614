"""Silence is a fault: every option, through every door, is obeyed or refused by a named error; none is dropped.

The options come from the declarations themselves: one that is added has no value in the tables here, and fails.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import inspect
import json
import pickle
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import SecretStr, ValidationError

from embedbridge import ConfigurationError, Embedder, EmbedderOptions, langchain, llama_index
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.cli.arguments import add_embedder_arguments, embedder_options
from embedbridge.cli.wording import NO_FLAG
from embedbridge.options import NUMBERS, EndpointOptions
from embedbridge.providers import BUILT_IN, provider_class
from embedbridge.reduction import PCA
from support.cases import each
from support.golden import FOLDER
from support.keys import KEYS

FACES = {"langchain": langchain.BridgeEmbeddings, "llama-index": llama_index.BridgeEmbedding}
VALUES: dict[str, Any] = {
    "model": "fake:16",
    "dimensions": 4,
    "reduction": "saved.npz",
    "normalize": True,
    "query_prefix": "q: ",
    "document_prefix": "d: ",
    "too_long": "mean",
    "empty": "zero",
    "cache": "memory",
    "cache_ttl": 5.0,
    "cache_size_limit": 1 << 20,
    "cache_dtype": "float16",
    "batch_size": 3,
    "concurrency": 2,
    "requests_per_minute": 60.0,
    "tokens_per_minute": 1000.0,
    "rate_limiter": InMemoryRateLimiter(requests_per_second=5),
    "max_retries": 1,
    "timeout": 5.0,
    "deadline": 9.0,
    "max_cost": 1.0,
    "batch": "wait",
    "api_key": "sk-test",
    "base_url": "http://127.0.0.1:9/v1",
    "endpoints": (EndpointOptions(base_url="http://127.0.0.1:9/v1"), EndpointOptions(base_url="http://127.0.0.1:8/v1")),
    "show_progress": True,
    "observers": (id,),
    "provider_options": {"latency": 0.5},
}
"""Option → a value that is not its default."""
NEEDS = {name: {"model": "openai:a-model"} for name in ("api_key", "base_url", "endpoints")}
"""Option → what has to be given besides."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a saved reduction, and one with a model's small files."""
    folder = tmp_path_factory.mktemp("doors")
    for name, content in FOLDER.items():
        (folder / "a-folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "a-folder" / name).write_text(json.dumps(content))
    PCA(n_components=2).fit(np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)).save(folder / "saved.npz")
    return folder


@pytest.fixture(autouse=True)
def _in_place(place, monkeypatch):
    """There, and with keys."""
    monkeypatch.chdir(place)
    for variable in KEYS:
        monkeypatch.setenv(variable, "sk-of-the-environment")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def options_with(name: str) -> dict[str, Any]:
    return {"model": "fake:8", "cache": cache_for(name), **NEEDS.get(name, {}), name: VALUES[name]}


def cache_for(name: str) -> Any:
    """None, but for what nobody can wait for without one."""
    return "memory" if name == "batch" else False


def is_obeyed(made: Any, name: str) -> bool:
    """Whether an embedder, or the one of a face, has the value that was given."""
    options = made.options if isinstance(made, Embedder) else made.embedder.options
    given, found = VALUES[name], getattr(options, name)
    if isinstance(found, SecretStr):
        found = found.get_secret_value()
    return bool(str(found) == given if name == "reduction" else found == given)


def stored(name: str) -> Any:
    """Made again of stored data, with the option beside it."""
    data = llama_index.BridgeEmbedding(model=options_with(name)["model"], cache=False).to_dict()
    given = {option: value for option, value in options_with(name).items() if option not in NEEDS.get(name, {})}
    return llama_index.BridgeEmbedding.from_dict({**data, "model": options_with(name)["model"]}, **given)


def in_an_actor(name: str) -> Any:
    """As Ray makes it on another machine."""
    pytest.importorskip("ray", reason="needs ray[data]")
    ray_data = importlib.import_module("embedbridge.ray_data")
    options = options_with(name)
    ray_data._check_travels(options)
    if options.get("rate_limiter") is not None or options.get("observers"):
        assert set(ray_data.ONE_PROCESS) == {"rate_limiter", "observers"}  # refused before that
        raise ConfigurationError(f"{name}: refused by its name")
    task = ray_data.Task("text", "embedding", "document", options, None)
    return ray_data.EmbedColumn(ray_data.ray.cloudpickle.loads(ray_data.ray.cloudpickle.dumps(task)))._embedder


DOORS: dict[str, Any] = {
    "constructor": lambda name: Embedder(**options_with(name)),
    "of ready-made options": lambda name: Embedder.from_options(EmbedderOptions(**options_with(name))),
    "copy": lambda name: copy.copy(Embedder(**options_with(name))),
    "deepcopy": lambda name: copy.deepcopy(Embedder(**options_with(name))),
    "pickle": lambda name: pickle.loads(pickle.dumps(Embedder(**options_with(name)))),  # noqa: S301 - our own
    "from_dict": stored,
    "Ray": in_an_actor,
}
for _framework, _face in FACES.items():
    DOORS |= {
        f"{_framework}: constructor": lambda name, face=_face: face(**options_with(name)),
        f"{_framework}: model_copy": lambda name, face=_face: face(**NEEDS.get(name, {"model": "fake:8"})).model_copy(
            update={name: VALUES[name], "cache": VALUES["cache"] if name == "cache" else cache_for(name)}
        ),
        f"{_framework}: deepcopy": lambda name, face=_face: copy.deepcopy(face(**options_with(name))),
        f"{_framework}: pickle": lambda name, face=_face: pickle.loads(pickle.dumps(face(**options_with(name)))),  # noqa: S301
        f"{_framework}: of an embedder": lambda name, face=_face: face.of(Embedder(**options_with(name))),
    }

REFUSED = {(door, "rate_limiter") for door in DOORS if "pickle" in door} | {
    ("Ray", "rate_limiter"),
    ("Ray", "observers"),
    ("from_dict", "endpoints"),
}
"""Door and option → a `ConfigurationError` that names the option: a limiter with a lock belongs to one process, and
what was stored of OpenAI's own address is not what other addresses give."""
FROM_THE_ENVIRONMENT = {(door, "api_key") for door in DOORS if "pickle" in door}
"""A key never travels: the process that reads a pickle takes its own."""


def test_each_option_has_a_value_that_is_tried():
    assert set(VALUES) == set(EmbedderOptions.model_fields), "each has a row in VALUES; the other tests try those"
    assert not [name for name, field in EmbedderOptions.model_fields.items() if field.default == VALUES[name]]


def test_each_option_is_read_by_what_an_embedder_is_made_of():
    """One that nothing reads would be taken, kept by copies and pickles, and do nothing."""
    folder = Path(str(files("embedbridge") / "_run"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    silent = sorted(set(EmbedderOptions.model_fields) - read)
    assert not silent, "obey it in _run, mostly in _run/parts.py"


@each("name", VALUES)
@pytest.mark.parametrize(
    "door", [pytest.param(door, marks=[pytest.mark.slow] if door == "Ray" else []) for door in DOORS]
)
def test_each_option_through_each_door_is_obeyed_or_refused_by_its_name(door, name):
    """N8."""
    if (door, name) in REFUSED:
        with pytest.raises(ConfigurationError, match=name):
            DOORS[door](name)
    elif (door, name) in FROM_THE_ENVIRONMENT:
        made = DOORS[door](name)
        embedder = made if isinstance(made, Embedder) else made.embedder
        assert embedder._parts.provider.secret() == "sk-of-the-environment"
    else:
        assert is_obeyed(DOORS[door](name), name)


STAND_INS = {
    f"{module.__name__}.{name}": kind
    for module in (langchain, llama_index)
    for name in module.__all__
    if isinstance(kind := getattr(module, name), type) and issubclass(kind, StandIn)
}


def model_keyword(kind: Any) -> str:
    return "model" if "model" in inspect.signature(kind).parameters else "model_name"


NAMES = {"bedrock": "cohere.embed-v4:0", "cohere": "embed-v4.0", "voyage": "voyage-4"}
OF_A_SERVER = ("model", "dimensions", "provider_options", "reduction", "max_cost")
"""Options whose value depends on the provider, for which it is chosen below."""


@pytest.mark.filterwarnings("ignore:api_key has no effect. 'local' asks no server")
@each("name", [name for name in VALUES if name not in OF_A_SERVER])
@pytest.mark.parametrize("stand_in", STAND_INS)
def test_a_stand_in_takes_our_options_beside_the_originals(stand_in, name):
    """N8."""
    kind = STAND_INS[stand_in]
    models = {**NAMES, "sentence-transformers": "all-MiniLM-L6-v2"}
    options = {"cache": cache_for(name), model_keyword(kind): models.get(kind.provider, "a-model"), name: VALUES[name]}
    if kind.provider == "azure" and name != "base_url":
        options |= {"azure_endpoint": "https://name.openai.azure.com"}
    if kind.provider == "azure":
        options |= {"api_version": "2024-10-21"}
    try:
        made = kind(**options)
    except ConfigurationError as error:
        assert name in str(error)  # noqa: PT017 - either answer will do
        assert name in {"base_url", "endpoints", "query_prefix", "document_prefix", "api_key"}
    else:
        assert is_obeyed(made, name)


@pytest.mark.parametrize("stand_in", [name for name in STAND_INS if "llama_index" in name])
def test_a_stand_in_is_made_again_of_its_own_dump_and_of_its_stored_data(stand_in):
    """U8: all five LlamaIndex stand-ins cannot be made from their own `model_dump()`."""
    kind = STAND_INS[stand_in]
    models = {**NAMES, "sentence-transformers": "./a-folder"}
    place = {"azure_endpoint": "https://name.openai.azure.com", "api_version": "2024-10-21"}
    named = {model_keyword(kind): models.get(kind.provider, "a-model")}
    made = kind(**named, **(place if kind.provider == "azure" else {}), cache=False)
    for again in (kind(**made.model_dump()), kind.from_dict(made.to_dict()), kind.from_json(made.to_json())):
        assert again.to_dict() == made.to_dict()
        assert again.embedder.options.batch_size == made.embedder.options.batch_size


# The options of one provider.

OWN: dict[str, Any] = {
    "verify": False,
    "proxy": "http://127.0.0.1:9",
    "cert": None,
    "http2": True,
    "prompt_names": {"query": ""},
    "input_type": "clustering",
    "routing_headers": ["x-model"],
    "credential_headers": ["x-model"],
    "body": {"a": 1},
    "role_body": {"query": {"a": 1}},
    "dimensions_field": "width",
    "encoding_format": "float",
    "query": {"v": "2"},
    "single": True,
    "request_items": 7,
    "text_tokens": 100,
    "organization": "o",
    "project": "p",
    "location": "us",
    "credentials": None,
    "task_types": {"query": "CODE_RETRIEVAL_QUERY"},
    "user": "u",
    "default_headers": {"x-model": "a"},
    "headers": {"x-model": "a"},
    "azure_endpoint": "https://name.openai.azure.com",
    "azure_deployment": "mine",
    "api_version": "2024-06-01",
    "azure_ad_token": "t",
    "azure_ad_token_provider": str,
    "api_key_provider": str,
    "region": "eu-west-1",
    "profile": None,
    "aws_access_key_id": "AKID",
    "aws_secret_access_key": "secret",
    "aws_session_token": "temporary",
    "model_arn": "arn:aws:bedrock:us-east-1:1:provisioned-model/a",
    "output_dtype": "int8",
    "keep_alive": "5m",
    "num_ctx": 512,
    "num_batch": 512,
    "options": {"num_gpu": 0},
    "latency": 0.5,
    "max_tokens": 9,
    "device": "cpu",
    "backend": "onnx",
    "dtype": "bfloat16",
    "revision": "abc",
    "trust_remote_code": True,
    "file_name": "model.onnx",
    "batch_tokens": 99,
    "embeddings": None,
    "truncate": "START",
    "normalize": False,
    "prompt_name": {"query": "query"},
    "truncation_direction": "Left",
}
"""Option of a provider → a value that is not its default; None: tried elsewhere, because it is an object or a file."""
AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
TOGETHER = {
    "routing_headers": {"default_headers": {"x-model": "a"}},
    "credential_headers": {"default_headers": {"x-model": "a"}},
    **{key: {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret"} for key in AWS_KEYS},
    "trust_remote_code": {"revision": "abc"},
    "file_name": {"backend": "onnx"},
}
ELSEWHERE = {"backend", "file_name"}
"""What needs packages that are not installed everywhere: refused with the command that installs them."""
MODELS = {
    "sentence-transformers": "./a-folder",
    "openai": "a-model",
    "azure": "a-model",
    "voyage": "voyage-4",
    "bedrock": "cohere.embed-v4:0",
    "cohere": "embed-v4.0",
    "mistral": "a-model",
    "ollama": "a-model",
    "nvidia": "a-model",
    "jina": "jina-embeddings-v3",
    "tei": "a-model",
    "gemini": "gemini-embedding-001",
    "vertex": "text-embedding-005",
    "fake": "8",
}
EACH = [(provider, name) for provider in BUILT_IN for name in provider_class(provider).options_type.model_fields]


def test_each_option_of_each_provider_has_a_value_that_is_tried():
    assert {name for _, name in EACH} == set(OWN), "give each option a value in OWN"
    tried = {provider for provider, name in EACH if OWN[name] is not None}
    assert tried <= set(MODELS), "give each provider a model in MODELS"


@pytest.mark.filterwarnings("ignore:verify=False")
@pytest.mark.parametrize(("provider", "name"), [(each, name) for each, name in EACH if OWN[name] is not None])
def test_each_option_of_a_provider_is_obeyed_and_kept_by_copies_and_pickles_or_refused(provider, name, monkeypatch):
    """N8, C3."""
    own = {name: OWN[name], **TOGETHER.get(name, {})}
    if provider == "ollama" and "default_headers" in own:
        own["headers"] = own.pop("default_headers")
    if provider == "azure":
        own = {"api_version": "2024-10-21", "azure_endpoint": "https://name.openai.azure.com"} | own
    if name.startswith("azure_ad"):
        monkeypatch.delenv("AZURE_OPENAI_API_KEY")
    try:
        made = Embedder(f"{provider}:{MODELS[provider]}", provider_options=own, cache=False)
    except ConfigurationError as error:
        refused = provider == "azure" and name == "api_key_provider"  # its functions give tokens, by another option
        assert refused or name in ELSEWHERE | {"http2"}, error  # noqa: PT017
        return
    plain = getattr(made._parts.provider.options, name)
    for again in (copy.deepcopy(made), copy.copy(made), made.as_langchain().model_copy().embedder):
        assert getattr(again._parts.provider.options, name) == plain
    if name == "azure_ad_token":
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "t")  # it is taken from there, and not from the pickle
        assert pickle.loads(pickle.dumps(made))._parts.provider.secret() == "t"  # noqa: S301
        return
    if name in AWS_KEYS:  # likewise
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "t")
        assert pickle.loads(pickle.dumps(made))._parts.provider.secret() == "t"  # noqa: S301
        return
    try:
        frozen = pickle.dumps(made)
    except ConfigurationError as error:
        assert name in {"default_headers", "headers", "credential_headers"}
        assert "x-model" in str(error)  # noqa: PT017
        return
    assert getattr(pickle.loads(frozen)._parts.provider.options, name) == plain  # noqa: S301
    data = made.as_llama_index().to_dict()
    if name in type(made._parts.provider.options).deciding():
        assert name in data["provider_options"]
        again = llama_index.BridgeEmbedding.from_dict(data, cache=False)
        assert getattr(again.embedder._parts.provider.options, name) == plain


# The command line.

BY_A_FLAG_OF_THE_COMMAND = {"model", "dimensions", "reduction", "show_progress"}
"""Which commands take by themselves, once or several times."""
NOT_THERE = NO_FLAG - {"provider_options"} - BY_A_FLAG_OF_THE_COMMAND
"""Objects, secrets, and what is set in a program: their flags do not exist, which is an error with their name."""


def test_each_option_has_a_flag_or_is_named_as_one_that_has_none():
    parser = argparse.ArgumentParser()
    add_embedder_arguments(parser)
    flags = {name: f"--{name.replace('_', '-')}" for name in {*EmbedderOptions.model_fields} - NOT_THERE}
    others = {"provider_options", "endpoints"} | BY_A_FLAG_OF_THE_COMMAND
    lacking = [name for name, flag in flags.items() if name not in others and flag not in parser.format_help()]
    assert not lacking, "add a flag in cli/arguments.py, or the name to NO_FLAG in cli/wording.py"


@pytest.mark.parametrize("name", sorted({*VALUES} - BY_A_FLAG_OF_THE_COMMAND))
def test_each_option_has_its_flag_on_the_command_line_or_is_refused_there(name, capsys):
    """N8."""
    parser = argparse.ArgumentParser()
    add_embedder_arguments(parser)
    flag = {"provider_options": "--option", "endpoints": "--endpoint"}.get(name, f"--{name.replace('_', '-')}")
    if name in NOT_THERE:
        with pytest.raises(SystemExit):
            parser.parse_args([flag, "1"])
        assert flag in capsys.readouterr().err
        return
    values = [each.base_url for each in VALUES[name]] if name == "endpoints" else [str(VALUES[name])]
    values = ["latency=0.5"] if name == "provider_options" else values
    given = [flag] if VALUES[name] is True else [part for value in values for part in (flag, value)]
    found = embedder_options(parser.parse_args(given))
    assert found == {name: VALUES[name]}


# Names of a face's own, and what is laid over options once they are checked.

LAID_OVER: dict[str, Any] = {
    "constructor": lambda face, given: face(model="fake:64", cache=False, **given),
    "model_copy": lambda face, given: face(model="fake:64", cache=False).model_copy(update=given),
    "copy": lambda face, given: face(model="fake:64", cache=False).copy(update=given),
    "model_construct": lambda face, given: face.model_construct(model="fake:64", cache=False, **given),
    "model_validate": lambda face, given: face.model_validate({"model": "fake:64", "cache": False, **given}),
}
WRONG: list[dict[str, Any]] = [{"dimensions": -3}, {"dimensions": "x"}, {"dimnsions": 3}, {"concurrency": True}]
OF_LLAMA_INDEX: list[dict[str, Any]] = [
    {"model_name": "zzz"},
    {"num_workers": -1},
    {"num_workers": 0},
    {"num_workers": True},
    {"num_workers": 2, "concurrency": 3},
    {"embed_batch_size": 0},
    {"embed_batch_size": True},
    {"class_name": "q"},
]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.parametrize("way", LAID_OVER)
@each(
    ("kind", "given"),
    [(kind, given) for kind in (EmbedderOptions, *FACES.values()) for given in WRONG]
    + [(FACES["llama-index"], given) for given in OF_LLAMA_INDEX],
)
def test_what_is_laid_over_options_is_checked_as_by_the_constructor(way, kind, given):
    """N8: BridgeEmbedding(model="fake:64", model_name="zzz") was the model fake:64, without a word."""
    with pytest.raises((ConfigurationError, ValidationError), match=next(iter(given))):
        LAID_OVER[way](kind, given)


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.parametrize("way", LAID_OVER)
def test_llama_indexs_own_names_are_obeyed_however_they_are_given(way):
    """N8."""
    face = FACES["llama-index"]
    made = LAID_OVER[way](face, {"num_workers": 3, "embed_batch_size": 5, "model_name": "fake:64"})
    again = made.model_copy(update={"num_workers": 4})
    changed = again.model_copy(update={"concurrency": 5, "model": "fake:8"})
    for one, model, workers in ((made, "fake:64", 3), (again, "fake:64", 4), (changed, "fake:8", 5)):
        for same in (one, copy.deepcopy(one), pickle.loads(pickle.dumps(one)), face(**one.model_dump())):  # noqa: S301
            assert (same.model_name, same.num_workers, same.embed_batch_size) == (model, workers, 5)
            assert (same.embedder.options.model, same.embedder.options.concurrency) == (model, workers)


@each("name", VALUES)
def test_an_option_is_not_set_or_deleted_once_the_embedder_is_made(name):
    """N8: Embedder("fake:64").dimensions = 3 was taken, and changed nothing."""
    embedder = Embedder("fake:64", cache=False)
    faces = [embedder.as_langchain(), embedder.as_llama_index(), embedder.options]
    for made in (embedder, *faces):
        with pytest.raises(ConfigurationError, match=f"^{name} is fixed here; .*copy"):
            setattr(made, name, VALUES[name])
    for made in faces:
        with pytest.raises(ConfigurationError, match=f"^{name} cannot be deleted"):
            delattr(made, name)
    with pytest.raises(ConfigurationError, match=r"^options is fixed here"):
        embedder.options = EmbedderOptions(model="fake:8")
    assert embedder.embed_query("a").shape == (64,)


MISSPELT = """
redis//x redis:/x redis:x redis;//x Redis//x rediss//x rediss:/h valkey//h redis.//x http://x http:/x https//x file:///x
file:/x localhost:6379 localhost:6379/0 127.0.0.1:6379 user:password@host memory: redi://x
"""


@pytest.mark.parametrize("spec", MISSPELT.split())
def test_an_address_of_a_cache_that_is_misspelt_is_no_directory(spec, place):
    """N8: cache="redis//x" made a folder of that name."""
    for made in (Embedder, *FACES.values()):
        for cache in (spec, ["memory", spec]):
            with pytest.raises(ConfigurationError, match=r"^cache: ") as caught:
                made(model="fake:64", cache=cache)
            assert "password" not in str(caught.value)
    assert not (place / spec.partition("/")[0]).exists()


@pytest.mark.parametrize("spec", ["./redis//x", "data//x", "a/b:c", "x"])
def test_a_directory_may_be_called_so(spec, place):
    with Embedder("fake:8", cache=spec) as embedder:
        embedder.embed_query("a")
    assert (place / spec).is_dir()


# Values of another kind than an option's.

NAN = float("nan")
OF_ANOTHER_KIND: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *(("fake:8", {name: value}, {}) for name in NUMBERS for value in (NAN, True, np.True_, b"3", -1, [3], "x")),
    *(("fake:8", {}, {name: value}) for name in ("accept_zeros", "force_dimensions") for value in ("false", 1, None)),
    *(("fake:8", {}, {"accept_model": value}) for value in (False, 1, [1], b"x", [""])),
    *(("fake:8", {}, {name: value}) for name in ("latency", "max_tokens") for value in (True, np.True_, NAN, b"3")),
    *(("openai:a-model", {}, {"request_items": value}) for value in (True, np.True_, 0, NAN, b"3")),
    *(
        ("openai:a-model", {}, {"body": {"a": value}})
        for value in (NAN, np.float32(1), b"x", object(), {1: 2}, Path("x"))
    ),
    *(("ollama:a-model", {}, {"options": {"a": value}}) for value in (NAN, np.float32(1), b"x", object(), {1: 2})),
    *(("ollama:a-model", {}, {name: True}) for name in ("num_ctx", "num_batch", "keep_alive")),
]


@each(("model", "options", "own"), OF_ANOTHER_KIND)
def test_a_value_of_another_kind_than_its_option_is_refused_by_name(model, options, own):
    """N8: force_dimensions="false" was on, accept_zeros=1 was off, num_ctx=True was one token."""
    (name,) = {**options, **own}
    for made in (Embedder, *FACES.values()):
        with pytest.raises(ConfigurationError, match=name):
            made(model=model, cache=False, provider_options=own, **options)


def test_numbers_of_numpy_are_numbers():
    made = Embedder("fake:8", cache=False, dimensions=np.int64(3), timeout=np.float32(2), max_retries=np.int32(1))
    assert (made.embed_query("a").shape, made.options.timeout, made.options.max_retries) == ((3,), 2.0, 1)
