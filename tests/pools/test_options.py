"""What an endpoint may have of its own, by which doors it comes in, and what is refused by name."""

import contextlib
import json
import re

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, EmbedderOptions, events
from embedbridge._endpoint_options import EndpointOptions, share
from embedbridge.cli import main
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.testing import Latency, contains, no_waiting

from .conftest import MODEL, expected

pytest.importorskip("openai")
HERE = {"base_url": "http://127.0.0.1:9/v1"}
THERE = {"base_url": "http://127.0.0.1:8/v1"}


@pytest.mark.parametrize(
    ("endpoints", "said"),
    [
        ([], "a list with one entry for each endpoint"),
        ("http://127.0.0.1:9/v1", "a list with one entry for each endpoint"),
        (["http://127.0.0.1:9/v1"], "entry 0 is a str"),
        ([HERE, HERE], "entry 1 is the same as entry 0"),
        ([HERE, {"base_url": "http://127.0.0.1:9/v1/"}], "entry 1 is the same as entry 0"),
        ([HERE, THERE | {"key_env": "sk-secret"}], "entry 1: key_env: it is the name of an environment variable"),
        (
            [HERE | {"weight": 2}, HERE | {"weight": 3, "requests_per_minute": 60}],
            "entry 1 has the address and the key of entry 0",
        ),
        ([HERE, {"base_url": "HTTP://127.0.0.1:9/v1/", "weight": 2}], "entry 1 has the address and the key of entry 0"),
        ([HERE, HERE | {"api_key": "sk"}], "entry 1 has the address and the key of entry 0"),
        ([HERE, HERE | {"key_env": "A_KEY_THAT_IS_SET"}], "entry 1 has the address and the key of entry 0"),
        ([HERE, THERE | {"key_env": "0123abcd" * 4}], "entry 1: key_env: it is the name"),
        (
            [HERE, THERE | {"key_env": "skSECRET" * 4}],
            "entry 1: key_env: the variable is not set; its name",
        ),
        (
            [HERE, THERE | {"key_env": "a1SECRET" * 4}],
            "entry 1: key_env: the variable is not set; its name",
        ),
        ([HERE, THERE | {"dimensions": 3}], "entry 1: 'dimensions' is no field of an endpoint: what decides vectors"),
        ([HERE, THERE | {"model": "other"}], "entry 1: 'model' is no field"),
        *[
            ([HERE, THERE | {"weight": weight}], "entry 1: weight: write a number from 1e-06 to 1e.06, not ")
            for weight in (0, -1, float("nan"), float("inf"), 9e-7, 1.1e6, 10**400, True, "2", b"2", None, [2])
        ],
        ([HERE, {"base_url": "skSECRET"}], "entry 1: base_url has no http"),
        ([HERE, {"skSECRET": 1}], "entry 1: a name that is not shown"),
        ([HERE, THERE | {"max_concurrency": 0}], "entry 1: max_concurrency"),
        ([HERE, THERE | {"requests_per_minute": float("nan")}], "entry 1: requests_per_minute"),
        ([HERE, THERE | {"api_key": "sk-secret", "key_env": "A"}], "api_key and key_env both"),
        ([HERE, THERE | {"api_key": " "}], "api_key: it is an empty string"),
        ([HERE, THERE | {"key_env": "NO_SUCH_VARIABLE"}], "NO_SUCH_VARIABLE is not set"),
        ([HERE, {"base_url": "http://user:sk-secret@127.0.0.1/v1"}], "holds a user and a password"),
        ([HERE, {"base_url": "ftp://127.0.0.1"}], "entry 1: base_url must be an http or https address"),
        (
            [HERE, {"base_url": "https://integrate.api.nvidia.com/v1"}],
            "entry 1 is told the roles of texts by other fields",
        ),
        ([HERE, THERE | {"region": "eu-west-1"}], "region is of bedrock and vertex alone"),
        ([HERE, THERE | {"headers": {"content-type": "sk-secret"}}], "entry 1: the header 'content-type'"),
    ],
)
def test_what_an_endpoint_cannot_have_is_refused_by_its_place_and_without_its_value(endpoints, said, monkeypatch):
    monkeypatch.setenv("A_KEY_THAT_IS_SET", "sk")
    for made in (Embedder, BridgeEmbeddings, BridgeEmbedding):
        with pytest.raises(ConfigurationError, match=f"endpoints: .*{said}") as caught:
            made(model=MODEL, endpoints=endpoints, api_key="sk", cache=False)
        assert not re.search("sk-secret|SECRET|0123abcd", str(caught.value))


MAY_BE_KEYS = ["AKIA0123SECRET", "SECRET", "sk_live_SECRET0", "pa_KEY_SECRET", "KEY_SECRET0A1B2C3", "SECRET_KEY_" * 7]


@pytest.mark.parametrize("name", MAY_BE_KEYS)
def test_what_may_be_a_key_in_place_of_a_variable_is_seen_nowhere(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    options = {"model": MODEL, "endpoints": [HERE, THERE | {"key_env": name}]}
    with pytest.raises(ConfigurationError) as caught:
        Embedder(**options, cache=False)
    seen, kept = [str(caught.value)], (EmbedderOptions(**options), EndpointOptions(key_env=name))
    seen += [str(show()) for each in kept for show in (each.__repr__, each.model_dump, each.model_dump_json)]
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "pool.toml").write_text(f'[[endpoints]]\nkey_env = "{name}"\n')
    (tmp_path / "field.toml").write_text(f'[[endpoints]]\n{name} = "1"\n')
    (tmp_path / "no.toml").write_text(f'[[endpoints]]\nkey_env = "{name}\n')
    flags = [["--endpoints", file] for file in ("pool.toml", "field.toml", "no.toml")]
    flags += [["--endpoint", each.format(name)] for each in (",key_env={}", "{}", "{}=1", ",{}=1", "http://h/v1,{}")]
    for each in flags:
        with contextlib.suppress(SystemExit):
            assert main(["embed", "in.txt", "-o", "out.npy", "-m", MODEL, "--no-cache", *each])
        seen.append(capsys.readouterr().err)
        assert "error: " in seen[-1]
    assert not [each for each in seen if "SECRET" in each]


def test_a_variable_that_is_written_like_one_or_is_set_is_named(monkeypatch):
    monkeypatch.setenv("my_own", "sk")
    for name in ("OPENAI_API_KEY", "KEY_2", "S3_KEY_NAME", "my_own"):
        assert name in repr(EndpointOptions(key_env=name))
        assert EndpointOptions(key_env=name).model_dump()["key_env"] == name


@pytest.mark.parametrize("weight", [1e-6, 1e6, 3, np.float32(2)])
def test_weights_from_a_millionth_to_a_million_are_taken(weight):
    assert EndpointOptions(weight=weight).weight == weight


def test_providers_without_a_server_have_no_endpoints():
    with pytest.raises(ConfigurationError, match="endpoints: 'fake' asks no server"):
        Embedder("fake:8", endpoints=[HERE, THERE], cache=False)


def test_a_pool_of_openais_may_have_deployments_of_azure(caller, pair):
    first, second = pair
    azure = {
        "base_url": second.url,
        "api_key": "az",
        "api_version": "2024-10-21",
        "deployment": "text-embedding-3-small",
    }
    pool = Embedder(
        MODEL, endpoints=[{"base_url": f"{first.url}/v1", "api_key": "sk"}, azure], cache=False, batch_size=4
    )
    caller.embed(pool, ["a"])
    first.on(contains("text"), "quota")
    with pytest.warns(UserWarning, match="left out"):
        result = caller.embed(pool, ["text 1"])
    assert result.vectors.tolist() == [pytest.approx(expected(first, ["text 1"])[0].tolist(), abs=1e-6)]
    keys = {request.headers.get("api-key") for request in second.requests}
    assert keys == {"az"}


@pytest.mark.parametrize(
    "model",
    [
        "cohere:embed-v4.0",
        "voyage:voyage-4",
        "ollama:nomic-embed-text",
        "jina:jina-embeddings-v3",
        "gemini:gemini-embedding-001",
    ],
)
def test_every_hosted_provider_has_them(model, pair):
    paths = {"voyage": "/voyage/v1", "jina": "/voyage/v1"}
    path = paths.get(model.partition(":")[0], "")
    endpoints = [{"base_url": f"{each.url}{path}", "api_key": f"k{at}"} for at, each in enumerate(pair)]
    if model.startswith("ollama"):
        endpoints = [{"base_url": each["base_url"]} for each in endpoints]
    seen = []
    with no_waiting(), Embedder(model, endpoints=endpoints, cache=False, batch_size=2, observers=[seen.append]) as pool:
        pool.embed(["a"])
        pair[0].on(contains("text"), "503")
        pool.embed(["text 1"])
    assert [each.reference for each in seen if isinstance(each, events.EndpointProved)] == [True, False]


def test_describe_names_all_endpoints_and_their_own_limits():
    pool = Embedder(
        MODEL, endpoints=[HERE | {"weight": 2}, THERE | {"requests_per_minute": 60}], api_key="sk", cache=False
    )
    told = str(pool.describe())
    assert "2: http://127.0.0.1:9/v1, weight 2; http://127.0.0.1:8/v1, 60 requests a minute" in told
    assert "sk" not in told.replace("skip", "").replace("ask", "")


def test_limits_of_an_endpoint_and_of_all_together_are_kept(caller, pair):
    endpoints = [{"base_url": f"{each.url}/v1", "api_key": "k"} for each in pair]
    endpoints[0] |= {"max_concurrency": 1}
    for each in pair:
        each.latency = Latency(0.02)
    pool = Embedder(MODEL, endpoints=endpoints, cache=False, batch_size=1)
    caller.embed(pool, [f"text {at}" for at in range(30)])
    assert pair[0].stats.max_in_flight == 1
    assert pair[1].stats.served > 1
    limited = Embedder(MODEL, endpoints=endpoints, cache=False, batch_size=1, requests_per_minute=1200)
    report = caller.embed(limited, [f"text {at}" for at in range(60)]).report
    assert report.seconds > 1.5


def test_limits_of_few_requests_are_waited_for_and_hold_no_proof_up(caller, pair):
    slow, texts = {"requests_per_minute": 90}, [f"text {at}" for at in range(4)]
    for endpoint, options in ((slow, {}), ({}, slow)):
        endpoints = [{"base_url": f"{each.url}/v1", "api_key": "sk-secret"} | endpoint for each in pair]
        result = caller.embed(Embedder(MODEL, endpoints=endpoints, cache=False, batch_size=4, **options), texts)
        np.testing.assert_allclose(result.vectors, expected(pair[0], texts), atol=1e-6)
        assert result.report.requests <= 3


def test_actors_have_equal_parts_of_the_limits_of_each_endpoint():
    endpoints = [HERE | {"requests_per_minute": 60, "max_concurrency": 4}, THERE | {"tokens_per_minute": 9}]
    assert share(endpoints, 3) == [
        HERE | {"requests_per_minute": 20, "max_concurrency": 4},
        THERE | {"tokens_per_minute": 3},
    ]


# The command line.


def test_the_command_line_takes_endpoints_by_flags_and_by_a_file(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FIRST_KEY", "sk-first")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": f"text {at}"}) + "\n" for at in range(8)))
    urls = [f"{each.url}/v1" for each in pair]
    (tmp_path / "pool.toml").write_text(
        "".join(f'[[endpoints]]\nbase_url = "{url}"\nkey_env = "FIRST_KEY"\n' for url in urls)
    )
    flags = [part for url in urls for part in ("--endpoint", f"{url},key_env=FIRST_KEY,weight=2")]
    for own in (flags, ["--endpoints", "pool.toml"]):
        assert main(["embed", "in.jsonl", "-o", "out.npy", "-m", MODEL, "--no-cache", *own]) == 0
        told = capsys.readouterr()
        assert "endpoints:" in told.err + told.out
    assert pair[0].requests[0].headers["authorization"] == "Bearer sk-first"


def test_what_sends_nothing_needs_no_variable_of_a_pool_to_be_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "a"}\n')
    own = ["--endpoint", "http://127.0.0.1:9/v1,key_env=NO_SUCH_KEY", "--endpoint"]
    dry = ["embed", "in.jsonl", "--dry-run", "-m", MODEL, "--no-cache"]
    same = "http://127.0.0.1:9/v1,key_env=ANOTHER_KEY"
    assert main([*dry, *own, same]) == 0
    assert main(["migrate", "plan", "in.jsonl", "--to", MODEL, "--cache", "cache", *own, same]) == 0
    capsys.readouterr()
    assert main([*dry, *own, "http://127.0.0.1:9/v1,key_env=skSECRETskSECRET"]) == 1
    told = capsys.readouterr().err
    assert "its name is not shown" in told
    assert "SECRET" not in told


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--endpoint", "http://127.0.0.1:9/v1,api_key=sk-secret"], "key_env=VARIABLE"),
        (["--endpoint", "http://127.0.0.1:9/v1,sk-secret"], "key_env=VARIABLE"),
        (["--endpoint", "http://sk-secret@127.0.0.1:9/v1,api_key=1"], "key_env=VARIABLE"),
        (["--endpoint", "http://127.0.0.1:9/v1,weight=0"], "weight"),
        (["--endpoint", "http://127.0.0.1:9/v1,wieght=2"], "for 'wieght' write weight"),
        (["--endpoint", "http://127.0.0.1:9/v1,weight=2,weight=3"], "weight is given twice"),
        (["--endpoint", "http://127.0.0.1:9/v1,key_env=sk-secret"], "key_env=VARIABLE"),
        (["--endpoint", "http://127.0.0.1:9/v1,key_env=NO_SUCH_KEY"], "the variable NO_SUCH_KEY is not set"),
        (["--endpoint", "127.0.0.1:9/v1"], "write http:// or https:// before the host"),
        (["--endpoint", ""], "key_env=VARIABLE"),
        (["--endpoints", "no-such.toml"], "no-such.toml"),
        (["--endpoints", "key.toml"], "key_env"),
        (["--endpoints", "wrong.toml"], "endpoints"),
        (["--endpoints", "key.toml", "--endpoint", "http://127.0.0.1:9/v1"], "leave one of them out"),
    ],
)
def test_wrong_endpoints_are_refused_on_the_command_line_without_a_key(flags, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "key.toml").write_text('[[endpoints]]\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "sk-secret"\n')
    (tmp_path / "wrong.toml").write_text("pool = 1\n")
    try:
        status = main(["embed", "in.txt", "-o", "out.npy", "-m", MODEL, "--no-cache", *flags])
    except SystemExit as end:
        status = end.code
    told = capsys.readouterr().err
    assert status
    assert said in told
    assert "sk-secret" not in told
    assert flags[0] == "--endpoints" or max(map(len, told.splitlines())) <= 80


def test_the_help_says_in_one_line_of_80_columns_how_an_endpoint_is_written(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["embed", "--help"])
    assert "each as URL,key_env=VARIABLE,weight=2" in capsys.readouterr().out


def test_an_endpoint_shows_its_fields_in_one_order_in_each_process():
    """The names of what was given are a set, which has another order in the next process."""
    own = {"weight": 2, "region": "r", "tokens_per_minute": 9, "requests_per_minute": 9, "max_concurrency": 1}
    shown = list(EndpointOptions(**HERE, **own).plain(masked=True))
    assert shown == [name for name in EndpointOptions.model_fields if name in {*HERE, *own}]
