"""The APIs of Mistral and Google, as providers of a few lines: what their batches need of one."""

from embedbridge._core.types import Limits
from embedbridge.providers._gemini_batches import GeminiBatches
from embedbridge.providers._listing import listing
from embedbridge.providers._mistral_batches import MistralBatches
from embedbridge.providers.hosted import HostedProvider

WIDTH = 16


class Mistral(HostedProvider):
    """OpenAI's wire."""

    name = "mistral"
    package = "httpx2"
    key_variables = ("MISTRAL_API_KEY",)
    official_url = "https://api.mistral.ai/v1"
    batch_api = MistralBatches

    @classmethod
    def reduces(cls, model, card):
        return True

    @property
    def limits(self):
        return Limits(items=256, tokens=16_000)

    def body(self, batch):
        return {"model": self.model, "input": list(batch.texts), "dimensions": self.config.dimensions}

    def send(self, client, batch):
        key = {"authorization": f"Bearer {self.secret()}"}
        return client.post(f"{self.address()}/embeddings", json=self.body(batch), headers=key)

    def read(self, batch, payload):
        return listing(payload)


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
