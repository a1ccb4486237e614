"""Where stand-ins differ from their originals, each with the reason."""

from __future__ import annotations

OTHER_CLIENT = "a client of the user's own, which the original takes: refused, because answers would not be bounded"
START = "the beginning of a long text would be cut off: refused, because no other API does it"
NONE = "a keyword that is None says nothing here, where the original then looks at no variable"
PROXY = "the original takes it and uses no proxy: used"
EMPTY = "an empty text is refused, unless empty='zero' is given"
CUT = "vectors that are cut have unit length here: refused without normalising"
FLOAT32 = "vectors are of float32: refused"
DIFFERENT: dict[str, dict[str, str]] = {
    "OpenAIEmbeddings": {"http_client": OTHER_CLIENT, "http_async_client": OTHER_CLIENT, "api_key=None": NONE},
    "AzureOpenAIEmbeddings": {
        "http_client": OTHER_CLIENT,
        "http_async_client": OTHER_CLIENT,
        "api_key=None": NONE,
        "openai_proxy": PROXY,
        "$OPENAI_PROXY": PROXY,
    },
    "GoogleGenAIEmbedding": {
        "embedding_config={'auto_truncate': False}": "the original refuses it, but for Vertex AI: too_long='error'",
        "embedding_config={'title': 'one for all'}": "a title belongs to one text: refused",
        "http_options={'base_url': '{url}', 'extra_body': {'a': 1}}": "requests have the API's own fields: refused",
    },
    "GoogleGenerativeAIEmbeddings": {"@query={'title': 'A'}": "Google reads titles of documents alone: refused"},
    "GoogleGenerativeAIEmbeddings of Vertex AI": {
        "google_api_key": "two credentials, of which the original takes one: refused",
        "location=None": "with a base_url, the original asks the address alone: Google's global place",
        "project=None and $GOOGLE_CLOUD_PROJECT": "with a base_url, the original does not look at it: sent",
        "model='gemini-embedding-2'": "the original fails for more than one text: one request for each",
    },
    "JinaEmbedding": {
        "encoding_queries='binary'": FLOAT32,
        "encoding_documents='ubinary'": FLOAT32,
        "late_chunking=True": "a vector would depend on the texts that are sent with its own: refused",
        "api_key=None": "the original sends 'None' as the key in sync calls: the variable's is sent",
    },
    "NVIDIAEmbedding": {
        "http_client": OTHER_CLIENT,
        "async_http_client": OTHER_CLIENT,
        "dimensions": "the original leaves them out in async calls: sent in all",
    },
    "TextEmbeddingsInference": {
        "auth_token=<method 'lower' of 'str' objects>": "a function is not asked: refused, write make_token(base_url)",
    },
    "NVIDIAEmbeddings": {"nvidia_api_key='first'": "two keys, of which the original takes one: refused"},
    "CohereEmbeddings": {"truncate='START'": START, "embedding_types": FLOAT32},
    "OllamaEmbeddings": {"async_client_kwargs": "one client's settings hold for both kinds of calls"},
    "VoyageAIEmbeddings": {
        "model='voyage-context-3'": "it embeds a document's chunks together, by another API: refused"
    },
    "HuggingFaceEmbeddings": {
        "model_kwargs={'token': 't'}": "a token is the variable HF_TOKEN: refused",
        "encode_kwargs={'precision': 'ubinary'}": FLOAT32,
        "encode_kwargs={'truncate_dim': 8}": CUT,
        "model_kwargs={'truncate_dim': 8}": CUT,
        "encode_kwargs and query_encode_kwargs": "normalising that is given for one role alone: refused, write both",
        "@texts=['', 'short']": EMPTY,
        "query_encode_kwargs={'normalize_embeddings': True}": "normalising holds for both roles: refused",
        "cache_folder": "models lie where the hub keeps them: refused",
    },
    "OpenAIEmbedding": {
        "model='davinci'": "OpenAI has switched it off: refused",
        "http_client": OTHER_CLIENT,
        "async_http_client": OTHER_CLIENT,
    },
    "AzureOpenAIEmbedding": {"http_client": OTHER_CLIENT, "async_http_client": OTHER_CLIENT},
    "CohereEmbedding": {
        "truncate='START'": START,
        "embedding_type": FLOAT32,
        "httpx_client": OTHER_CLIENT,
        "httpx_async_client": OTHER_CLIENT,
    },
    "OllamaEmbedding": {"keep_alive=1.5": "the same seconds are written as '1.5s'"},
    "VoyageEmbedding": {"output_dtype='int8'": FLOAT32},
    "HuggingFaceEmbedding": {
        "max_length": "texts are cut where the model's own limit is: refused",
        "cache_folder": "models lie where the hub keeps them: refused",
    },
}
"""Stand-in → a keyword, or one value of it, that is answered otherwise → why.

Besides, everywhere: texts are sent as text, where OpenAI's original sends token ids of a vocabulary that it downloads;
ours says in words what an API does by default (`truncate`), asks Ollama to refuse what it would cut, sets num_batch
with num_ctx, and asks Cohere by version 2 of its API.
"""
FORMER: dict[str, tuple[str, dict[str, str]]] = {
    "GoogleGenerativeAIEmbeddings": (
        "4",
        {"@documents": "titles of several texts are sent before release 4: batch_size=1 sends them"},
    ),
}
"""Stand-in → a release of the original, and how the releases before it differ besides."""
BUILDS = "a step of the original's own construction"
OF_SDK = "it gives the SDK's own answer; embed_documents gives its vectors, with retries"
LISTING = "the vendor would be asked for its models; `embedbridge models nvidia:` lists those that are known"
NOT_THERE: dict[str, dict[str, str]] = {
    "OpenAIEmbeddings": {"build_extra": BUILDS, "validate_environment": BUILDS},
    "AzureOpenAIEmbeddings": {"build_extra": BUILDS, "validate_environment": BUILDS},
    "AzureOpenAIEmbedding": {"validate_env": BUILDS},
    "MistralAIEmbeddings": {"validate_environment": BUILDS},
    "CohereEmbeddings": {
        "validate_environment": BUILDS,
        "validate_model_specified": BUILDS,
        "embed_with_retry": OF_SDK,
        "aembed_with_retry": OF_SDK,
    },
    "VoyageAIEmbeddings": {"validate_environment": BUILDS, "init_progress_bar": BUILDS},
    "JinaEmbeddings": {"validate_environment": BUILDS},
    "NVIDIAEmbeddings": {"available_models": LISTING, "get_available_models": LISTING},
    "NVIDIAEmbedding": {"available_models": LISTING},
    "BedrockEmbeddings": {"validate_environment": BUILDS},
    "BedrockEmbedding": {
        "set_credentials": "it changes an object, and is deprecated: from_credentials, or a copy",
        "list_supported_models": "of the original's release; `embedbridge models bedrock:` lists what is known here",
    },
}
"""Stand-in → a public name of the original that it lacks → why."""
