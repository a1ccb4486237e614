"""Which names mean a model that is listed, and which only look like one."""

from pathlib import Path

from embedbridge import catalogue
from embedbridge.catalogue import cards, look_up
from embedbridge.catalogue.rows import PROVIDERS
from embedbridge.providers import canonical_name
from support.cases import each

ST = "sentence-transformers"
BGE = "BAAI/bge-small-en-v1.5"
QWEN3 = "Qwen/Qwen3-Embedding-0.6B"
GEMMA = "google/embeddinggemma-300m"
NOMIC = "nomic-ai/nomic-embed-text-v1.5"


@each(
    ("provider", "model", "name"),
    [
        ("openai", "text-embedding-3-small", "text-embedding-3-small"),
        ("voyage", "voyage-code-3", "voyage-code-3"),
        ("cohere", "embed-english-light-v3.0", "embed-english-light-v3.0"),
        # hub ids, with and without their owner; the hub does not mind the case
        (ST, BGE, BGE),
        (ST, "bge-small-en-v1.5", BGE),
        (ST, "baai/BGE-small-en-v1.5", BGE),
        (ST, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        (ST, "voyage-4-nano", "voyageai/voyage-4-nano"),
        (ST, "dunzhang/stella_en_400M_v5", "NovaSearch/stella_en_400M_v5"),
        # directories named like the model, and the hub's cache
        (ST, "/models/bge-small-en-v1.5", BGE),
        (ST, "/models/bge-small-en-v1.5/", BGE),
        (ST, "./BAAI/bge-small-en-v1.5", BGE),
        (ST, "~/models/BAAI_bge-small-en-v1.5", BGE),
        (ST, "C:\\models\\bge-small-en-v1.5", BGE),
        (ST, "/cache/sentence-transformers__all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        (ST, "/hub/models--BAAI--bge-small-en-v1.5/snapshots/5c38ec7c405ec4b44b94cc5a9bb96e735b38267a", BGE),
        (ST, "/hub/models--BAAI--bge-small-en-v1.5", BGE),
        # other servers on OpenAI's wire
        ("openai", BGE, BGE),
        ("openai", "bge-small-en-v1.5", BGE),
        ("openai", "/models/bge-small-en-v1.5-q8_0.gguf", BGE),
        ("openai", "ggml-org/embeddinggemma-300M-GGUF:Q8_0", GEMMA),
        ("openai", "nomic-embed-text", "nomic-embed-text:v1.5"),
        ("openai", "nomic-embed-text:latest", "nomic-embed-text:v1.5"),
        ("openai", "text-embedding-nomic-embed-text-v1.5", NOMIC),
        # L2: as servers and gateways call them
        ("openai", "text-embedding-mxbai-embed-large-v1", "mixedbread-ai/mxbai-embed-large-v1"),
        ("openai", "text-embedding-mxbai-embed-large-v1@q8_0", "mixedbread-ai/mxbai-embed-large-v1"),
        ("openai", "text-embedding-bge-m3@f16", "BAAI/bge-m3"),
        ("openai", "text-embedding-qwen3-embedding-0.6b", QWEN3),
        ("openai", "text-embedding-embeddinggemma-300m-qat", GEMMA),
        ("openai", "@cf/baai/bge-small-en-v1.5", BGE),
        ("openai", "@cf/google/embeddinggemma-300m", GEMMA),
        ("openai", "accounts/fireworks/models/qwen3-embedding-8b", "Qwen/Qwen3-Embedding-8B"),
        ("openai", "fireworks_ai/accounts/fireworks/models/qwen3-embedding-8b", "Qwen/Qwen3-Embedding-8B"),
        ("openai", "fireworks/qwen3-embedding-8b", "Qwen/Qwen3-Embedding-8B"),
        ("openai", "fireworks/qwen3-embedding-0p6b", "Qwen/Qwen3-Embedding-0.6B"),
        ("openai", "docker_model_runner/ai/mxbai-embed-large-v1", "mixedbread-ai/mxbai-embed-large-v1"),
        ("openai", "databricks-gte-large-en", "Alibaba-NLP/gte-large-en-v1.5"),
        ("openai", "databricks-bge-large-en", "BAAI/bge-large-en-v1.5"),
        ("openai", "databricks-qwen3-embedding-0-6b", QWEN3),
        ("openai", "openai/text-embedding-3-small", "text-embedding-3-small"),
        ("openai", "Pro/BAAI/bge-m3", "BAAI/bge-m3"),
        ("openai", "ai/mxbai-embed-large", "mxbai-embed-large:335m"),
        ("openai", "ibm/granite-embedding-278m-multilingual", "ibm-granite/granite-embedding-278m-multilingual"),
        ("openai", "ollama/nomic-embed-text", "nomic-embed-text:v1.5"),
        ("openai", "hosted_vllm/BAAI/bge-small-en-v1.5", BGE),
        ("openai", "lm_studio/text-embedding-bge-m3", "BAAI/bge-m3"),
        (ST, "unsloth/Qwen3-Embedding-0.6B", QWEN3),
        ("openai", "Xenova/bge-small-en-v1.5", BGE),
        ("openai", "onnx-community/embeddinggemma-300m-ONNX", GEMMA),
        ("openai", "mlx-community/Qwen3-Embedding-8B-4bit-DWQ", "Qwen/Qwen3-Embedding-8B"),
        # Ollama's names
        ("ollama", "nomic-embed-text", "nomic-embed-text:v1.5"),
        ("ollama", "nomic-embed-text:v1.5", "nomic-embed-text:v1.5"),
        ("ollama", "library/nomic-embed-text", "nomic-embed-text:v1.5"),
        ("ollama", "registry.ollama.ai/library/nomic-embed-text:latest", "nomic-embed-text:v1.5"),
        ("ollama", "nomic-embed-text:137m-v1.5-fp16", "nomic-embed-text:v1.5"),
        ("ollama", "Nomic-Embed-Text", "nomic-embed-text:v1.5"),
        ("ollama", "all-minilm:l12-v2", "all-minilm:33m"),
        ("ollama", "qwen3-embedding", "qwen3-embedding:8b"),
        ("ollama", "qwen3-embedding:0.6b-q8_0", "qwen3-embedding:0.6b"),
        ("ollama", "qwen3-embedding:4b-q4_K_M", "qwen3-embedding:4b"),
        ("ollama", "embeddinggemma:300m-qat-q4_0", "embeddinggemma:300m"),
        ("ollama", "snowflake-arctic-embed:110m-m-fp16", "snowflake-arctic-embed:110m"),
        ("ollama", "hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0", QWEN3),
        ("ollama", "hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF", QWEN3),
        ("ollama", "huggingface.co/someone/bge-small-en-v1.5-Q4_K_M-GGUF:latest", BGE),
        ("ollama", "/models/nomic-embed-text-v1.5.Q5_K_M.gguf", NOMIC),
        # GGUF files
        (ST, "/models/bge-small-en-v1.5.gguf", BGE),
        ("openai", "bge-small-en-v1.5-f16.gguf", BGE),
        ("openai", "models/BAAI_bge-small-en-v1.5-IQ4_XS.gguf", BGE),
        ("openai", "/m/Qwen3-Embedding-0.6B.i1-Q4_K_M.gguf", QWEN3),
        ("openai", "/m/Qwen3-Embedding-0.6B-Q8_0-00001-of-00002.gguf", QWEN3),
        (
            "openai",
            "/hub/models--ggml-org--embeddinggemma-300M-GGUF/snapshots/0a1b/embeddinggemma-300M-Q8_0.gguf",
            GEMMA,
        ),
    ],
)
def test_a_name_that_means_a_listed_model_is_found(provider, model, name):
    assert look_up(provider, model).name == name


@each(
    ("provider", "model"),
    [
        # names that resemble
        (ST, "my-bge-small-en-v1.5-finetuned"),
        (ST, "bge-small-en-v1.5-onnx-custom"),
        (ST, "sre-embedding-model"),
        (ST, "e5"),
        (ST, "nomic"),
        (ST, "bge-small-en-v1"),
        (ST, "bge-small-en-v1.50"),
        (ST, " BAAI/bge-small-en-v1.5"),
        (ST, "BAAI/"),
        (ST, ""),
        # somebody else's model of the same name
        (ST, "someone/bge-small-en-v1.5"),
        ("openai", "someone/bge-small-en-v1.5"),
        ("ollama", "someone/nomic-embed-text"),
        ("ollama", "hf.co/someone/bge-small-en-v1.5"),
        ("ollama", "hf.co/someone/my-bge-small-en-v1.5-GGUF:Q8_0"),
        (ST, "/hub/models--someone--bge-small-en-v1.5/snapshots/5c38"),
        # below a model's directory, or in a directory that is only near one
        (ST, "/models/bge-small-en-v1.5/onnx"),
        (ST, "/models/bge-small-en-v1.5-finetuned"),
        (ST, "/hub/models--BAAI--bge-small-en-v1.5/finetuned"),
        (ST, "/models/someone_bge-small-en-v1.5"),
        (ST, "/runs/bge-small-en-v1.5/snapshots/step-100"),
        # tags and files that say more than a quantisation
        ("ollama", "nomic-embed-text:v2"),
        ("ollama", "nomic-embed-text:v1.5-custom"),
        ("ollama", "nomic-embed-text:fp16"),
        ("ollama", "nomic-embed"),
        ("ollama", "hf.co/Qwen/Qwen3-Embedding-0.6B-GGUF:custom"),
        ("ollama", "all-MiniLM-L6-v2"),
        ("openai", "/models/bge-small-en-v1.5-finetuned-q8_0.gguf"),
        ("openai", "/models/bge-small-en-v1.5-q8_0-q4_0.gguf"),
        ("openai", "/models/q8_0.gguf"),
        ("openai", ".gguf"),
        # APIs mind the case of their names, and a deployment can be called anything
        ("openai", "Text-Embedding-3-Small"),
        ("openai", "my-text-embedding-3-small"),
        ("openai", "text-embedding-3"),
        # L2: a known head or tail, and something else beside it
        ("openai", "text-embedding-bge-m3-finetuned"),
        ("openai", "text-embedding-bge-m3@custom"),
        ("openai", "text-embedding-bge-m3@q8_0@q4_0"),
        ("openai", "my-text-embedding-bge-m3"),
        ("openai", "@cf/someone/bge-m3"),
        ("openai", "accounts/someone/models/qwen3-embedding-8b"),
        ("openai", "databricks-gte-large"),
        ("openai", "databricks-bge-m3"),
        ("openai", "someone/text-embedding-3-small"),
        ("openai", "vllm/vllm/vllm/bge-m3"),
        ("openai", "unsloth/bge-m3-finetuned"),
        ("openai", "onnx-community/bge-m3-ONNX-tuned"),
        (ST, "text-embedding-bge-m3"),
        (ST, "@cf/baai/bge-m3"),
        ("azure", "text-embedding-bge-m3"),
        ("voyage", "voyage-4-nano"),
        ("voyage", BGE),
        ("cohere", "embed-english-v3"),
        # nobody the catalogue speaks of
        ("fake", "256"),
        ("langchain", BGE),
        (ST, "x" * 10_000_000),
        (ST, "a\0b"),
        (ST, "/"),
        (ST, "\\\\"),
    ],
)
def test_a_name_that_only_resembles_one_is_not(provider, model):
    assert look_up(provider, model) is None


def test_a_relative_directory_is_told_from_a_hub_id_by_being_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert look_up(ST, "models/bge-small-en-v1.5") is None
    (tmp_path / "models" / "bge-small-en-v1.5").mkdir(parents=True)
    assert look_up(ST, "models/bge-small-en-v1.5").name == BGE
    monkeypatch.chdir(tmp_path / "models" / "bge-small-en-v1.5")
    assert look_up(ST, ".").name == BGE


def test_a_directory_is_not_asked_what_it_was_made_from(tmp_path):
    model = tmp_path / "our-search-model"
    model.mkdir()
    (model / "config.json").write_text('{"_name_or_path": "BAAI/bge-small-en-v1.5"}')
    (model / "README.md").write_text("---\nbase_model: BAAI/bge-small-en-v1.5\n---\n# BAAI/bge-small-en-v1.5")
    assert look_up(ST, str(model)) is None


def test_a_hub_model_on_ollama_is_read_as_far_as_that_server_reads():
    card = look_up("ollama", "hf.co/nomic-ai/nomic-embed-text-v1.5-GGUF")
    assert (card.max_tokens, card.served_tokens, card.normalized) == (8192, 2048, True)
    assert look_up("ollama", "hf.co/someone/bge-small-en-v1.5-GGUF").served_tokens == 512
    assert look_up(ST, NOMIC).served_tokens is None


def test_bge_m3_and_its_siblings_are_told_apart():
    assert look_up(ST, "BAAI/bge-m3").prefix("query") == ""
    assert look_up(ST, "BAAI/bge-base-en-v1.5").prefix("query") != look_up(ST, "BAAI/bge-base-zh-v1.5").prefix("query")


def served_names(name):
    """A hub id as servers and gateways write it."""
    last = name.rpartition("/")[2]
    heads = ("text-embedding-", "accounts/fireworks/models/", "ai/", "unsloth/", "Xenova/")
    made = [name, *(f"{head}{last}" for head in heads), f"text-embedding-{last}@q8_0"]
    return made if last == name else [*made, f"@cf/{name}", f"Pro/{name}", f"hosted_vllm/{name}", f"{name}-GGUF:Q8_0"]


def test_no_two_models_share_a_name():
    """L2: neither those that are listed, nor those that servers make of them."""
    for card in cards("sentence-transformers"):
        for name in (made for own in (card.name, *card.aliases) for made in served_names(own)):
            found = look_up("openai", name)
            assert found is None or found.provider != card.provider or found.name == card.name, name
    for provider in PROVIDERS:
        for card in cards(provider):
            assert {look_up(provider, name).name for name in (card.name, *card.aliases)} == {card.name}


def test_the_table_of_a_first_choice_says_what_the_catalogue_says():
    page = (Path(catalogue.__file__).parent / "README.md").read_text(encoding="utf-8")
    table = page.partition("## A first choice")[2].partition("\n\nThese are")[0]
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in table.splitlines() if "| `" in line]
    assert len(rows) >= 10
    for name, *told in rows:
        provider, _, model = name.split("`")[1].partition(":")
        card = look_up(canonical_name(provider), model)
        if card is not None:
            price = "free" if card.price is None else f"{card.price:g}"
            assert [str(card.dimensions), str(card.served_tokens or card.max_tokens), price] == told, name
            assert card.retires is None, name
        else:
            assert provider == "fake"
