"""The page on writing a provider tells the truth: its example, installed as a package, works as it stands.

What its author gets wrong is shown with its line.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import traceback
from importlib.resources import files

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, InvalidResponseError, ProviderUnavailableError, providers
from embedbridge.providers import BaseProvider, Reply, register
from embedbridge.providers.fake import fake_vectors
from embedbridge.testing.loopback import LoopbackServer

PAGE = (files("embedbridge.providers") / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
(ENTRY,) = re.findall(r"```toml\n.*?\n(.*?)```", PAGE, re.DOTALL)
MODEL = "house:minutes-2"
KEY = "hk-a-key-for-tests"
WIDTH = 24


class HouseServer(LoopbackServer):
    """The page's API: vectors that depend on the purpose as well as on the text, last line first."""

    def __init__(self):
        super().__init__()
        self.requests, self.status, self.results = [], 200, "results"

    async def answer(self, connection, request):
        asked = json.loads(request.body)
        self.requests.append((request.path, request.headers.get("x-house-key"), asked))
        vectors = fake_vectors([f"{asked['purpose']}|{line}" for line in asked["lines"]], WIDTH)
        found = [{"line": line, "values": vector.tolist()} for line, vector in enumerate(vectors)]
        body = {self.results: found[::-1], "usage": {"tokens": 7 * len(found)}}
        await connection.send(self.status, {"content-type": "application/json"}, json.dumps(body).encode())
        return True


@pytest.fixture
def house_server():
    with HouseServer() as server:
        yield server


def test_a_script_registers_a_class_of_its_own_without_a_package(caller, monkeypatch):
    monkeypatch.setattr(providers, "_REGISTERED", {})

    class Lengths(BaseProvider):
        name = "lengths"

        def ask(self, batch, *, timeout):
            return Reply([[float(len(text)), 1.0] for text in batch.texts])

        async def aask(self, batch, *, timeout):
            return self.ask(batch, timeout=timeout)

    assert register(register(Lengths)) is Lengths
    embedder = Embedder("lengths:1", cache=False)
    assert caller.embed(embedder, ["a", "bcd"]).vectors.tolist() == [[1, 1], [3, 1]]
    with pytest.raises(ConfigurationError, match="unknown provider 'lenghts'; did you mean 'lengths'"):
        Embedder("lenghts:1")
    taken = type("Taken", (Lengths,), {"name": "openai"})
    another = type("Another", (Lengths,), {})
    alias = type("Alias", (Lengths,), {"name": "local"})
    for wrong, told in (("lengths", "derived"), (taken, "already"), (another, "already"), (alias, "lower case")):
        with pytest.raises(ConfigurationError, match=told):
            register(wrong)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Entries and a module's text as an installed package."""

    def installed(module, code, entry):
        folder = tmp_path / f"{module}-package"
        (folder / f"{module}-1.0.dist-info").mkdir(parents=True)
        (folder / f"{module}.py").write_text(code)
        (folder / f"{module}-1.0.dist-info" / "METADATA").write_text(f"Name: {module}\nVersion: 1.0\n")
        (folder / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(f"[embedbridge.providers]\n{entry}\n")
        monkeypatch.syspath_prepend(folder)
        modules.append(module)

    modules = []
    yield installed
    for module in modules:
        sys.modules.pop(module, None)
    importlib.invalidate_caches()


@pytest.fixture
def house(install, house_server, monkeypatch):
    """Embedders over the page's provider, of whose code a part may be another."""

    def made(old="", new="", **options):
        assert old in CODE
        install("house_provider", CODE.replace(old, new, 1), ENTRY.replace('"', ""))
        return Embedder(MODEL, base_url=house_server.url, **{"cache": False} | options)

    monkeypatch.setenv("HOUSE_API_KEY", KEY)
    return made


def test_it_is_found_by_name_and_routes_roles(caller, house, house_server):
    embedder = house()
    result = caller.embed(embedder, ["a", "b"])
    query = caller.embed_query(embedder, "a")
    assert np.allclose(result.vectors, fake_vectors(["store|a", "store|b"], WIDTH))
    assert np.allclose(query, fake_vectors(["search|a"], WIDTH)[0])
    assert (result.report.tokens, result.report.tokens_from) == (14, "provider")
    paths, keys, _ = zip(*house_server.requests, strict=True)
    assert (set(paths), set(keys)) == ({"/v1/vectors"}, {KEY})


def test_it_has_the_packing_and_the_cache(caller, house, house_server):
    embedder = house(cache="memory")
    texts = [f"text {number}" for number in range(80)]
    first = caller.embed_documents(embedder, texts)
    assert sorted(len(asked["lines"]) for _, _, asked in house_server.requests) == [16, 32, 32]
    assert caller.embed_documents(embedder, texts).tolist() == first.tolist()
    assert len(house_server.requests) == 3


def test_it_retries_and_shows_no_key(caller, house, house_server):
    house_server.status = 503
    embedder = house(max_retries=1)
    with pytest.raises(ProviderUnavailableError) as caught:
        caller.embed_documents(embedder, ["a"])
    assert len(house_server.requests) == 2
    assert KEY not in f"{caught.value!r} {embedder!r}"


def test_a_missing_key_is_named(house, monkeypatch):
    monkeypatch.delenv("HOUSE_API_KEY")
    with pytest.raises(ConfigurationError, match="HOUSE_API_KEY"):
        house()


WRONG = {
    "a method in send": ("self.address()", "self.adress()", AttributeError, 0),
    "an argument in send": ("json=asked", "jsn=asked", TypeError, 0),
    "a name in read": ("payload[", "paylod[", NameError, 1),
    "an error in read": ('found = payload["results"]', 'raise ValueError("wrong on purpose")', ValueError, 1),
}
"""What its author may do wrong → right and wrong code, what is raised, and the requests that are sent."""


@pytest.mark.parametrize("case", WRONG)
def test_what_its_author_does_wrong_is_raised_as_it_is(caller, house, house_server, case):
    old, new, error, requests = WRONG[case]
    with pytest.raises(error) as caught:
        caller.embed_documents(house(old, new), ["a"])
    step = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert step.filename.endswith("house_provider.py")
    assert new in step.line
    assert len(house_server.requests) == requests


def test_a_field_that_is_not_there_is_named_by_its_line_as_on_the_page(caller, house, house_server):
    house_server.results = "result"
    with pytest.raises(InvalidResponseError) as caught:
        caller.embed_documents(house(), ["a"])
    (promised,) = re.findall(r"`(the answer holds [^`]*)`", PAGE)
    assert promised in str(caught.value)
    assert repr(caught.value.__cause__.__cause__) == "KeyError('results')"


def test_what_an_sdk_raises_is_told_by_its_class_because_it_may_hold_the_key(caller, house, house_server):
    embedder, text = house('"x-house-key": self.secret()', '"x-house-key": self.key'), "-".join("text")
    with pytest.raises(ConfigurationError, match=r"could not be made \(TypeError\)") as caught:
        caller.embed_documents(embedder, [text])
    told = "".join(traceback.format_exception(caught.value))
    assert text not in told
    assert KEY not in told
    assert house_server.requests == []


CLASS = """
import numpy as np
from embedbridge.providers import BaseProvider, Reply

class Own(BaseProvider):
    name = {name!r}

    @classmethod
    def reduces(cls, model, card):
        return True

    def ask(self, batch, *, timeout):
        return Reply(np.ones((len(batch.texts), self.config.dimensions or 4)))
"""


@pytest.mark.parametrize(
    ("code", "entry", "said"),
    [
        ("import nobody_has_this", "own = own_provider:Own", r"own_provider:Own\) cannot be imported: No module named"),
        ("", "own = nobody_has_this:Own", r"nobody_has_this:Own\) cannot be imported: No module named"),
        ("def (", "own = own_provider:Own", r"own_provider:Own\) cannot be loaded: SyntaxError"),
        ("raise RuntimeError('no')", "own = own_provider:Own", r"cannot be loaded: RuntimeError\('no'\)"),
        ("", "own = own_provider:Own", "cannot be loaded: AttributeError"),
        ("class Own: pass", "own = own_provider:Own", "no class derived from BaseProvider"),
        ("def Own(config): pass", "own = own_provider:Own", "no class derived from BaseProvider"),
        (CLASS.format(name=""), "own = own_provider:Own", "calls itself ''; write name = 'own'"),
        (CLASS.format(name="openai"), "own = own_provider:Own", "calls itself 'openai'; write name = 'own'"),
    ],
)
def test_a_class_that_cannot_serve_is_named(install, code, entry, said):
    install("own_provider", code, entry)
    with pytest.raises(ConfigurationError, match=said):
        Embedder("own:x")


def test_a_name_in_any_case_a_nested_class_and_extras_are_found(install):
    code = CLASS.format(name="MyAPI") + "\nclass Outer:\n    Own = Own\n"
    install("own_provider", code, "MyAPI = own_provider:Outer.Own [fast]")
    for model in ("MyAPI:x", "myapi:x"):
        assert Embedder(model, cache=False).embed_documents(["a"]).shape == (1, 4)
    with pytest.raises(ConfigurationError, match="did you mean 'myapi'"):
        Embedder("myapj:x")


def test_two_packages_with_one_name_are_an_error_and_a_name_of_ours_stays_ours(install):
    install("own_provider", CLASS.format(name="own"), "own = own_provider:Own\nfake = own_provider:Own")
    assert Embedder("fake:8", cache=False).embed_documents(["a"]).shape == (1, 8)
    install("another_provider", CLASS.format(name="own"), "own = another_provider:Own")
    with pytest.raises(ConfigurationError, match="another_provider:Own, own_provider:Own; keep one"):
        Embedder("own:x")


def test_the_width_that_is_asked_for_is_part_of_the_identity(install):
    install("own_provider", CLASS.format(name="own"), "own = own_provider:Own")
    wide, narrow = Embedder("own:x", cache="memory"), Embedder("own:x", cache="memory", dimensions=2)
    assert narrow.embed_documents(["a"]).shape == (1, 2)
    assert wide.space.details == ()
    assert narrow.space.details == ("dimensions=2",)
