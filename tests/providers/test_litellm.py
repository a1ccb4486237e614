"""litellm's own proxy before servers of three vendors' dialects: what a user says of roles arrives there."""

import pytest

from embedbridge import Embedder, EmbeddingError
from embedbridge.testing import FaultServer
from support.litellm_proxy import KEY, PROGRAM, litellm_proxy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM.exists(), reason="python -m venv .venv-litellm; install 'litellm[proxy]' there"),
]

ROLES = {
    "voyage": ("query", "document"),
    "nvidia": ("query", "passage"),
    "cohere": ("search_query", "search_document"),
}
TEXTS = [f"text number {number}" for number in range(70)]


@pytest.fixture(scope="module")
def servers():
    """The vendors, each a server of its own."""
    voyage, nvidia, cohere = FaultServer(width=64), FaultServer(width=64, quirks=["nim"]), FaultServer(width=64)
    with voyage, nvidia, cohere:
        yield {"voyage": voyage, "nvidia": nvidia, "cohere": cohere}


@pytest.fixture(scope="module")
def proxy(servers, tmp_path_factory):
    """The proxy's base URL."""
    url = {name: server.url for name, server in servers.items()}
    models = {
        "voyage": {"model": "voyage/voyage-3.5", "api_base": f"{url['voyage']}/voyage/v1"},
        "nvidia": {"model": "nvidia_nim/nvidia/nv-embedqa-e5-v5", "api_base": f"{url['nvidia']}/v1"},
        "cohere": {"model": "cohere/embed-v4.0", "api_base": f"{url['cohere']}/v2/embed"},
    }
    settings = {"api_key": "the-vendors-key", "num_retries": 0, "max_retries": 0}
    named = {name: params | settings for name, params in models.items()}
    with litellm_proxy(named, tmp_path_factory.mktemp("litellm")) as base_url:
        yield base_url


@pytest.fixture(params=ROLES)
def vendor(request, servers):
    for server in servers.values():
        server.reset()
    return request.param


def made(proxy, vendor, **more):
    fields = {role: {"input_type": name} for role, name in zip(("query", "document"), ROLES[vendor], strict=True)}
    own = {"role_body": fields, **more.pop("provider_options", {})}
    return Embedder(f"openai:{vendor}", base_url=proxy, api_key=KEY, cache=False, provider_options=own, **more)


def test_roles_arrive_at_every_vendor_and_every_text_is_paid_once(caller, proxy, vendor, servers):
    """W5: through a proxy too, nothing is dropped."""
    server, embedder = servers[vendor], made(proxy, vendor)
    query = caller.embed_query(embedder, "a question")
    result = caller.embed(embedder, TEXTS)
    assert [body["input_type"] for body in server.requests.bodies] == [ROLES[vendor][0], *[ROLES[vendor][1]] * 3]
    assert dict(server.stats.billed) == dict.fromkeys(["a question", *TEXTS], 1)
    request = server.requests[0]
    for vectors, texts, role in ((query[None], ["a question"], 0), (result.vectors, TEXTS, 1)):
        expected = server.vectors(
            texts, dialect=request.dialect, model=request.model, input_type=ROLES[vendor][role], dims=64
        )
        assert abs(vectors - expected).max() < 1e-6
    assert result.report.retries == 0


def test_dimensions_arrive_by_each_vendors_own_name(caller, proxy, vendor, servers):
    vectors = caller.embed_documents(made(proxy, vendor, dimensions=32), ["a", "b"])
    assert vectors.shape == (2, 32)
    (body,) = servers[vendor].requests.bodies
    assert (body.get("dimensions") or body.get("output_dimension")) == 32


def test_a_vendors_rate_limit_is_waited_out_behind_the_proxy(caller, proxy, vendor, servers):
    servers[vendor].script("429:retry-after=1;message=slow down")
    caller.embed_documents(made(proxy, vendor), ["a"])
    assert dict(servers[vendor].stats.billed) == {"a": 1}


def test_a_role_that_the_vendor_refuses_ends_the_call_at_once(caller, proxy, servers):
    servers["nvidia"].reset()
    embedder = made(proxy, "nvidia", provider_options={"role_body": {"document": {"input_type": "nonsense"}}})
    with pytest.raises(EmbeddingError):
        caller.embed_documents(embedder, ["a"])
    assert not servers["nvidia"].stats.billed
    assert servers["nvidia"].stats.calls <= 2
