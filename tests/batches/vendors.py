"""Google's API as a provider of a few lines: what its batches need of one."""

from embedbridge._core.types import Limits
from embedbridge.providers._gemini_batches import GeminiBatches
from embedbridge.providers.hosted import HostedProvider


class Gemini(HostedProvider):
    """A text a request. Ordinary requests are not made here."""

    name = "gemini"
    package = "httpx2"
    key_variables = ("GEMINI_API_KEY",)
    key_header = "x-goog-api-key"
    official_url = "https://generativelanguage.googleapis.com"
    batch_api = GeminiBatches

    @classmethod
    def reduces(cls, model, card):
        return True

    @property
    def limits(self):
        return Limits(items=100)

    def wire_type(self, input_type):
        return {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}.get(input_type)

    def body(self, batch):
        (text,) = batch.texts
        content = {"parts": [{"text": text}], "role": "user"}
        return {"content": content, "taskType": batch.route.wire_type, "outputDimensionality": self.config.dimensions}

    def send(self, client, batch):
        raise NotImplementedError

    def read(self, batch, payload):
        raise NotImplementedError
