"""Voyage, Mistral and Gemini: their own lines, files and states, and the same night."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from embedbridge import Embedder, EmbeddingError, batch
from embedbridge._batch import making
from embedbridge.errors import CacheWarning

TEXTS = [f"text {number}" for number in range(40)]
VENDORS = {
    "voyage:voyage-3.5": ("/voyage/v1", "voyage", "document", 256),
    "mistral:mistral-embed": ("/mistral/v1", "mistral", "", None),
    "gemini:gemini-embedding-001": ("", "gemini", "RETRIEVAL_DOCUMENT", 128),
}
"""Model → the path of its address, of which dialect and role its vectors are, and their width."""


@pytest.fixture(params=VENDORS)
def vendor(request, server, tmp_path):
    """Makes an embedder of a vendor's model; and the vectors of texts."""
    path, dialect, role, width = VENDORS[request.param]
    name = request.param.partition(":")[2]

    def make(**options):
        given = {"base_url": server.url + path, "api_key": "a-key-of-mine", "cache": tmp_path, "dimensions": width}
        return Embedder(request.param, **given | options)

    def truth(texts):
        return server.vectors(texts, dialect=dialect, model=name, input_type=role, dims=width)

    return make, truth


def test_the_same_night(caller, server, vendor):
    make, truth = vendor
    done = caller.call(batch, "submit", make(), TEXTS)
    assert done.cost < done.ordinary_cost
    (came,) = caller.call(batch, "collect", make())
    assert (came.ended, came.stored, came.reason) == (True, 40, "")
    result = caller.embed(make(), TEXTS)
    assert result.report.requests == 0
    np.testing.assert_allclose(result.vectors, truth(TEXTS), rtol=1e-6)  # Google's are brought to unit length
    assert server.stats.again() == {}


def test_what_is_sound_is_kept(server, vendor):
    make, _ = vendor
    faults = []
    for spec, texts in {"reverse": 40, "expire:share=0": 0, "invalid": 0, "errors:n=99": 0, "again": 40}.items():
        server.reset()
        server.batches.script(spec)
        made = [f"{text} {spec}" for text in TEXTS]
        batch.submit(make(), made)
        (came,) = batch.collect(make())
        if not came.ended or came.stored != texts or batch.submit(make(), made).texts != 40 - texts:
            faults.append((spec, came))
        batch.collect(make())
    assert faults == []


@pytest.mark.usefixtures("_short_pauses")
def test_a_batch_is_made_once_whatever_becomes_of_the_answers(server, vendor, monkeypatch):
    make, _ = vendor
    monkeypatch.setattr(making, "DOUBT", 0.0)

    def makes(request):
        return request.method == "POST" and request.path.endswith(("/batches", "/jobs", "asyncBatchEmbedContent"))

    faults = []
    for fault in ("reset:at=end", "reset:at=start", "500", "408", "429:retry-after=0.01", "truncate"):
        server.reset()
        server.on(makes, fault, times=1)
        texts = [f"{text} {fault}" for text in TEXTS]
        unsure = fault in {"reset:at=start", "500", "408"}
        with pytest.raises(EmbeddingError, match="not sure") if unsure else nullcontext():
            batch.submit(make(), texts)
        batch.submit(make(), texts)
        (came,) = batch.collect(make())
        if (len(server.batches.made), came.stored) != (1, 40):
            faults.append((fault, len(server.batches.made), came))
    for status in (400, 404, 409, 429, 504):  # made, and answered so
        server.reset()
        server.batches.script(f"unheard:status={status}")
        texts = [f"{text} made {status}" for text in TEXTS]
        batch.submit(make(), texts)
        (came,) = batch.collect(make())
        if (len(server.batches.made), came.stored) != (1, 40):
            faults.append((status, len(server.batches.made), came))
    assert faults == []


def test_answers_that_end_early_at_a_lines_end_are_fetched_again(server, vendor):
    make, _ = vendor
    server.batches.script("short:n=1", "short:n=1+errors")
    for texts, stored in ((TEXTS, 40), ([f"{text} more" for text in TEXTS], 39)):
        ours = make(batch_size=1)
        batch.submit(ours, texts)
        (came,) = batch.collect(ours)
        assert (came.ended, came.stored) == (True, stored)
    assert server.stats.again() == {}


def test_answers_that_are_gone_lock_no_text_for_ever(server, vendor):
    make, _ = vendor
    server.batches.script("gone")
    batch.submit(make(), TEXTS)
    (lost,) = batch.collect(make(), wait=True, timeout=20)  # which is not waited for
    assert (lost.state, lost.lost, lost.ended) == ("answers gone", True, False)
    assert "forget it" in lost.reason
    assert batch.submit(make(), TEXTS).pending == 40
    (forgotten,) = batch.forget(make(), lost)
    assert (forgotten.state, forgotten.ended, forgotten.lost) == ("forgotten", True, False)
    assert batch.submit(make(), TEXTS).texts == 40


def test_a_batch_is_cancelled(server, vendor):
    make, _ = vendor
    server.batches.script("never")
    batch.submit(make(), TEXTS)
    (told,) = batch.cancel(make())
    assert "cancel" in told.state.lower()
    assert batch.collect(make())[0].stored == 0


def test_google_cuts_a_text_of_a_batch_as_one_of_a_request(server, tmp_path):
    given = {"base_url": server.url, "api_key": "k", "dimensions": 128, "too_long": "truncate"}
    texts = ["a b c d " * 4000, "a short one"]
    ours = Embedder("gemini:gemini-embedding-001", cache=tmp_path / "night", **given)
    batch.submit(ours, texts)
    assert batch.collect(ours)[0].stored == 2
    usual = Embedder("gemini:gemini-embedding-001", cache=tmp_path / "usual", **given).embed(texts)
    result = ours.embed(texts)
    np.testing.assert_array_equal(result.vectors, usual.vectors)
    assert (result.report.requests, result.report.cut_texts) == (0, usual.report.cut_texts)


def test_a_line_says_what_the_vendor_wants(server, tmp_path):
    for model, (path, *_) in VENDORS.items():
        ours = Embedder(model, base_url=server.url + path, api_key="k", cache=tmp_path)
        batch.submit(ours, ["a text"], input_type="query")
    lines = [json.loads(server.batches.files[made.file]) for made in server.batches.made]
    (voyage, mistral, gemini) = lines
    assert voyage["body"] == {"input": ["a text"]}
    about = server.batches.made[0].about
    assert about["completion_window"] == "12h"
    assert about["request_params"]["input_type"] == "query"
    assert mistral["body"]["input"] == ["a text"]
    assert "model" not in mistral["body"]
    assert gemini["request"]["content"]["parts"] == [{"text": "a text"}]
    assert gemini["request"]["taskType"] == "RETRIEVAL_QUERY"


# Accepted by clients that are not ours.


def test_mistrals_own_client_is_served(server):
    mistralai = pytest.importorskip("mistralai.client", reason="needs mistralai")
    client = mistralai.Mistral(api_key="k", server_url=server.url)
    content = json.dumps({"custom_id": "one", "body": {"input": ["a", "b"]}}).encode()
    file = client.files.upload(file={"file_name": "lines.jsonl", "content": content}, purpose="batch")
    job = client.batch.jobs.create(input_files=[file.id], endpoint="/v1/embeddings", model="mistral-embed")
    job = client.batch.jobs.get(job_id=job.id)
    assert (job.status, job.succeeded_requests) == ("SUCCESS", 1)
    assert job.id in [each.id for each in client.batch.jobs.list().data]
    line = json.loads(client.files.download(file_id=job.output_file).read())
    assert len(line["response"]["body"]["data"]) == 2


@pytest.mark.filterwarnings("ignore:batches.create_embeddings")
def test_googles_own_client_is_served(server, tmp_path):
    genai = pytest.importorskip("google.genai", reason="needs google-genai")
    client = genai.Client(api_key="k", http_options={"base_url": server.url})
    row = {"key": "one", "request": {"content": {"parts": [{"text": "a"}]}, "output_dimensionality": 8}}
    (tmp_path / "lines.jsonl").write_text(json.dumps(row))
    file = client.files.upload(file=tmp_path / "lines.jsonl", config={"mime_type": "application/jsonl"})
    made = client.batches.create_embeddings(
        model="gemini-embedding-001", src={"file_name": file.name}, config={"display_name": "mine"}
    )
    job = client.batches.get(name=made.name)
    assert (job.state.name, job.display_name) == ("JOB_STATE_SUCCEEDED", "mine")
    assert [each.name for each in client.batches.list()] == [made.name]
    line = json.loads(client.files.download(file=job.dest.file_name))
    assert len(line["response"]["embedding"]["values"]) == 8


def test_openais_own_client_is_served(server):
    import openai

    client = openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0)
    body = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/embeddings", "body": body}
    file = client.files.create(file=("lines.jsonl", json.dumps(line).encode()), purpose="batch")
    assert client.files.retrieve(file.id).bytes > 0
    made = client.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id=file.id)
    assert client.batches.retrieve(made.id).status == "completed"
    assert [each.id for each in client.batches.list()] == [made.id]
    answer = json.loads(client.files.content(client.batches.retrieve(made.id).output_file_id).text)
    assert len(answer["response"]["body"]["data"]) == 2
    assert client.batches.cancel(made.id).status == "completed"


async def test_autobatcher_is_served(server):
    autobatcher = pytest.importorskip("autobatcher", reason="needs autobatcher")
    async with autobatcher.BatchOpenAI(
        api_key="k", base_url=f"{server.url}/v1", batch_window_seconds=0.1, poll_interval_seconds=0.1
    ) as client:
        answer = await client.embeddings.create(model="text-embedding-3-small", input="a text", dimensions=8)
    assert len(answer.data[0].embedding) == 8


@pytest.mark.parametrize(
    "model", ["openai/text-embedding-3-small", "mistral/mistral-embed", "google/gemini-embedding-001"]
)
async def test_batchwork_is_served(server, model):
    batchwork = pytest.importorskip("batchwork", reason="needs batchwork-ai")
    base = f"{server.url}/v1beta" if model.startswith("google") else f"{server.url}/v1"
    work = batchwork.Batchwork()
    request = batchwork.BatchEmbeddingRequest(customId="one", value="a text")
    job = await work.batch_embeddings(model=model, requests=[request], api_key="k", base_url=base)
    await job.wait(poll_interval=0.05)
    (result,) = await job.collect()
    await work.aclose()
    assert result.custom_id == "one"
    assert len(result.embedding) > 0


@pytest.mark.usefixtures("twice")
def test_a_second_batch_of_a_gateway_is_cancelled(server, vendor):
    make, _ = vendor
    server.batches.seconds = 3600.0
    batch.submit(make(), TEXTS)
    with pytest.warns(CacheWarning, match="was made besides: .* it is cancelled"):
        batch.status(make())
    assert [each.cancelled for each in server.batches.made] == [True, False]


def test_money_for_what_came_to_nothing_may_be_spent(server, vendor):
    make, _ = vendor
    left = {}
    for spec in ("invalid", "expire:share=0", "errors:n=99", "expire:share=0.5"):
        server.batches.script(spec)
        ours = make(max_cost=1.0, batch_size=4)
        batch.submit(ours, [f"{text} {spec}" for text in TEXTS])
        batch.collect(ours)
        left[spec] = ours._shared.purse.spent > 0
    assert left == {"invalid": False, "expire:share=0": False, "errors:n=99": False, "expire:share=0.5": True}
