"""Every row that has a prefix, by what it puts where: a prefix that changes, or a row that gets one, is seen here."""

from embedbridge._core.types import INPUT_TYPES
from embedbridge.catalogue import cards

WEB = "Given a web search query, retrieve relevant passages that answer the query"
BGE = "Represent this sentence for searching relevant passages: "
QWEN3 = f"Instruct: {WEB}\nQuery:"
DOCUMENT = "Document: "

EVERY = {
    # query, document, classification, clustering; None: nothing is known of the role
    (
        "task: search result | query: ",
        "title: none | text: ",
        "task: classification | query: ",
        "task: clustering | query: ",
    ): """
        gemini-embedding-2 gemini-embedding-2-preview embeddinggemma:300m embeddinggemma-2:740m
        google/embeddinggemma-300m google/embeddinggemma-2
        """,
    ("search_query: ", "search_document: ", "classification: ", "clustering: "): """
        nomic-embed-text:v1.5 nomic-embed-text-v2-moe:latest nomic-ai/nomic-embed-text-v1
        nomic-ai/nomic-embed-text-v1.5 nomic-ai/nomic-embed-text-v2-moe nomic-ai/modernbert-embed-base
        lightonai/modernbert-embed-large ai-forever/ru-en-RoSBERTa
        """,
    (BGE, "", "", ""): """
        mxbai-embed-large:335m bge-large:335m BAAI/bge-small-en-v1.5 BAAI/bge-base-en-v1.5 BAAI/bge-large-en-v1.5
        BAAI/bge-small-en BAAI/bge-base-en BAAI/bge-large-en mixedbread-ai/mxbai-embed-large-v1
        WhereIsAI/UAE-Large-V1 mixedbread-ai/mxbai-embed-2d-large-v1
        """,
    (BGE, "", None, None): """
        snowflake-arctic-embed:22m snowflake-arctic-embed:33m snowflake-arctic-embed:110m snowflake-arctic-embed:137m
        snowflake-arctic-embed:335m Snowflake/snowflake-arctic-embed-xs Snowflake/snowflake-arctic-embed-s
        Snowflake/snowflake-arctic-embed-m Snowflake/snowflake-arctic-embed-m-long Snowflake/snowflake-arctic-embed-l
        Snowflake/snowflake-arctic-embed-m-v1.5 MongoDB/mdbr-leaf-ir MongoDB/mdbr-leaf-mt MongoDB/mdbr-leaf-ir-asym
        """,
    ("query: ", "", None, None): """
        snowflake-arctic-embed2:568m Snowflake/snowflake-arctic-embed-m-v2.0 Snowflake/snowflake-arctic-embed-l-v2.0
        telepix/PIXIE-Rune-v1.5 telepix/PIXIE-Rune-v1.0
        """,
    (QWEN3, "", None, None): """
        qwen3-embedding:0.6b qwen3-embedding:4b qwen3-embedding:8b Qwen/Qwen3-Embedding-0.6B Qwen/Qwen3-Embedding-4B
        Qwen/Qwen3-Embedding-8B
        """,
    (
        "\u4e3a\u8fd9\u4e2a\u53e5\u5b50\u751f\u6210\u8868\u793a\u4ee5\u7528\u4e8e\u68c0\u7d22\u76f8\u5173\u6587\u7ae0\uff1a",
        "",
        "",
        "",
    ): """
        BAAI/bge-small-zh-v1.5 BAAI/bge-base-zh-v1.5 BAAI/bge-large-zh-v1.5 BAAI/bge-small-zh BAAI/bge-base-zh
        BAAI/bge-large-zh
        """,
    (f"<instruct>{WEB}.\n<query>", "", None, None): "BAAI/bge-multilingual-gemma2 BAAI/bge-en-icl",
    ("<instruct>Given a question in text, retrieve relevant code\n<query>", "", None, None): "BAAI/bge-code-v1",
    ("query: ", "passage: ", "query: ", "query: "): """
        intfloat/e5-small-v2 intfloat/e5-base-v2 intfloat/e5-large-v2 intfloat/e5-small intfloat/e5-base
        intfloat/e5-large intfloat/multilingual-e5-small intfloat/multilingual-e5-base intfloat/multilingual-e5-large
        """,
    (f"Instruct: {WEB}\nQuery: ", "", None, None): """
        intfloat/multilingual-e5-large-instruct intfloat/e5-mistral-7b-instruct Alibaba-NLP/gte-Qwen2-1.5B-instruct
        Alibaba-NLP/gte-Qwen2-7B-instruct Alibaba-NLP/gte-Qwen1.5-7B-instruct microsoft/harrier-oss-v1-270m
        microsoft/harrier-oss-v1-0.6b microsoft/harrier-oss-v1-27b Salesforce/SFR-Embedding-Mistral
        Salesforce/SFR-Embedding-2_R nvidia/llama-embed-nemotron-8b BAAI/bge-reasoner-embed-qwen3-8b-0923
        ai-sage/Giga-Embeddings-instruct codefuse-ai/F2LLM-v2-80M codefuse-ai/F2LLM-v2-160M codefuse-ai/F2LLM-v2-330M
        codefuse-ai/F2LLM-v2-0.6B codefuse-ai/F2LLM-v2-1.7B codefuse-ai/F2LLM-v2-4B codefuse-ai/F2LLM-v2-8B
        codefuse-ai/F2LLM-v2-14B codefuse-ai/F2LLM-0.6B codefuse-ai/F2LLM-1.7B codefuse-ai/F2LLM-4B
        infgrad/Jasper-Token-Compression-600M dmis-lab/UltraBERT-Embed-150M
        """,
    (f"Instruct: {WEB}.\nQuery: ", "", None, None): "NovaSearch/stella_en_400M_v5 NovaSearch/stella_en_1.5B_v5",
    (
        "Instruct: Given a question, retrieve Wikipedia passages that answer the question\nQuery: ",
        "",
        None,
        None,
    ): "Linq-AI-Research/Linq-Embed-Mistral",
    (
        "Instruct: Given a question, retrieve passages that answer the question\nQuery: ",
        "",
        None,
        None,
    ): "nvidia/NV-Embed-v2 nvidia/NV-Embed-v1",
    (f"Instruct: {WEB} \n Query: ", "", None, None): """
        KaLM-Embedding/KaLM-embedding-multilingual-mini-instruct-v2.5
        HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v2 HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v1.5
        HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v1 tencent/KaLM-Embedding-Gemma3-12B-2511
        """,
    (f"Instruction: {WEB} \nQuery: ", "", None, None): "tencent/Youtu-Embedding",
    (f"<|user|>\n{WEB}\n<|embed|>\n", "<|embed|>\n", None, None): "GritLM/GritLM-7B",
    (
        "Represent this query for searching relevant code: ",
        "",
        None,
        None,
    ): "nomic-ai/nomic-embed-code nomic-ai/CodeRankEmbed",
    ("query: ", "passage: ", None, None): "mixedbread-ai/deepset-mxbai-embed-de-large-v1 nlpai-lab/KURE-v3",
    ("query: ", "document: ", None, None): "lightonai/DenseOn lightonai/mDenseOn",
    (
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
        "",
        "",
    ): "jinaai/jina-embeddings-v3",
    ("Query: ", "Passage: ", None, None): "jinaai/jina-embeddings-v4",
    ("Query: ", DOCUMENT, DOCUMENT, DOCUMENT): """
        jinaai/jina-embeddings-v5-text-small jinaai/jina-embeddings-v5-text-nano
        jinaai/jina-embeddings-v5-text-small-retrieval jinaai/jina-embeddings-v5-text-nano-retrieval
        jinaai/jina-embeddings-v5-omni-small jinaai/jina-embeddings-v5-omni-nano
        """,
    (DOCUMENT, DOCUMENT, DOCUMENT, DOCUMENT): """
        jinaai/jina-embeddings-v5-text-small-text-matching jinaai/jina-embeddings-v5-text-small-clustering
        jinaai/jina-embeddings-v5-text-small-classification jinaai/jina-embeddings-v5-text-nano-text-matching
        jinaai/jina-embeddings-v5-text-nano-clustering jinaai/jina-embeddings-v5-text-nano-classification
        """,
    (
        "Find the most relevant code snippet given the following query:\n",
        "Candidate code snippet:\n",
        None,
        None,
    ): "jinaai/jina-code-embeddings-0.5b jinaai/jina-code-embeddings-1.5b",
    (
        "Represent the Wikipedia question for retrieving supporting documents: ",
        "Represent the Wikipedia document for retrieval: ",
        None,
        None,
    ): "hkunlp/instructor-base hkunlp/instructor-large hkunlp/instructor-xl",
    (
        "検索クエリ: ",
        "検索文書: ",
        "トピック: ",
        "トピック: ",
    ): "cl-nagoya/ruri-v3-310m cl-nagoya/ruri-v3-130m cl-nagoya/ruri-v3-30m cl-nagoya/ruri-v3-70m",
    ("クエリ: ", "文章: ", None, None): "cl-nagoya/ruri-base-v2",
    ("search_query: ", "search_document: ", "categorize: ", "categorize_topic: "): "ai-forever/FRIDA",
}


def test_every_row_with_a_prefix_puts_exactly_this_before_a_text():
    pinned = {name: prefixes for prefixes, names in EVERY.items() for name in names.split()}
    found = {
        card.name: tuple(card.prefixes.get(role) for role in ("query", "document", "classification", "clustering"))
        for card in cards()
    }
    assert {name: prefixes for name, prefixes in found.items() if any(prefixes)} == pinned
    assert set(INPUT_TYPES) == {"query", "document", "classification", "clustering"}
