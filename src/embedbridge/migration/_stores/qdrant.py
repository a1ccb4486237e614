"""Qdrant: collections of a server, or of a folder in local mode, of LangChain's class and of LlamaIndex's.

A collection cannot be renamed; an alias is what applications open, and what it names is changed in one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError

from .base import PAGE, Names, Row, check_options, package
from .flavours import embedded_text
from .several import SharedPlaceStore, chosen, only_name

POINTS = 100
"""In one request: a server takes 32 MiB, and a point of 4,096 dimensions is 90 kB of JSON."""
PARAMETERS = {
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
    "payload",
    "id_tracker",
}
"""Of a collection, that are given again to the new one."""
OPTIONS = {"api_key": None, "timeout": 60, "content": "page_content"}
"""What `QdrantClient` takes, and the key of the text in LangChain's payload."""


class QdrantStore(SharedPlaceStore):
    """The collections and aliases of a client."""

    kind = "qdrant"

    def __init__(self, folder: Path | None, place: str, name: str, client: Any, content: str) -> None:
        super().__init__(name, place, folder)
        self._client, self._content = client, content

    @staticmethod
    def recognises(place: str) -> bool:
        if "://" in place:
            return urlsplit(place).port in {6333, 6334}
        return Path(place, "meta.json").is_file() and Path(place, "collection").is_dir()

    @classmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        check_options(cls.kind, options, tuple(OPTIONS))
        given = {**OPTIONS, **options}
        served = "://" in place
        shown = _without_secrets(place) if served else place
        if not served and not cls.recognises(place):
            raise ConfigurationError(f"{place} is no folder of Qdrant's local mode")
        qdrant = package("qdrant_client", "Qdrant is asked with its package; run: pip install qdrant-client")
        where = {"url": place, "api_key": given["api_key"], "timeout": given["timeout"]} if served else {"path": place}
        try:
            client = qdrant.QdrantClient(**where, check_compatibility=False)
            there = _open_to_applications(client)
        except Exception as error:
            raise ConfigurationError(f"qdrant:{shown} cannot be opened: {type(error).__name__}: {error}") from error
        folder = None if served else Path(place)
        if folder and name is None:
            name = only_name(folder, there)
        store = cls(folder, shown, chosen(name, there, f"qdrant:{shown}", "collection"), client, given["content"])
        store._dense(store.name)
        return store

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException

        return (ApiException, QdrantException, RuntimeError, ValueError)

    def indexes(self) -> list[str]:
        return _open_to_applications(self._client)

    def names(self, fingerprint: str) -> Names:
        fresh = self.name_with(fingerprint[:8])
        taken = {*_aliases(self._client), *_collections(self._client)}
        new = next(name for name in (fresh, *(f"{fresh}-{n}" for n in range(2, 100))) if name not in taken)
        return Names(self.name, new, self._target(self.name))

    def _target(self, name: str) -> str:
        """The collection that an alias names; a collection names itself."""
        return _aliases(self._client).get(name, name)

    def exists(self, name: str) -> bool:
        """The collection that the alias names is the current index, and no other one."""
        target = self._target(name)
        return target in _collections(self._client) and (name == self.name or target != self._target(self.name))

    def count(self, name: str) -> int:
        return int(self._client.count(name, exact=True).count)

    def dimensions(self, name: str) -> int | None:
        return int(self._dense(name)[1].size)

    def _dense(self, name: str) -> tuple[str, Any]:
        """The name and the settings of the vectors; LangChain's have the name ""."""
        vectors = self._client.get_collection(name).config.params.vectors
        named = vectors if isinstance(vectors, Mapping) else {"": vectors}
        if len(named) != 1:
            raise ConfigurationError(
                f"{self.shown} has vectors {sorted(named)}, and only collections with one can be moved"
            )
        return next(iter(named.items()))

    def _sparse(self, name: str) -> list[str]:
        return sorted(self._client.get_collection(name).config.params.sparse_vectors or {})

    def rows(self, name: str) -> Iterator[list[Row]]:
        sparse, begin = self._sparse(name), None
        while True:
            points, begin = self._client.scroll(name, limit=PAGE, offset=begin, with_payload=True, with_vectors=sparse)
            if points:
                yield [self._row(point) for point in points]
            if begin is None:
                return

    def _row(self, point: Any) -> Row:
        payload = point.payload or {}
        record = {"id": point.id, "payload": payload}
        if point.vector:
            record["sparse"] = {
                name: {"indices": list(vector.indices), "values": list(vector.values)}
                for name, vector in sorted(point.vector.items())
            }
        return Row(str(point.id), embedded_text(str(point.id), payload.get(self._content), payload), record)

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        dense = self._dense(name)[0]
        found: dict[str, Sequence[float]] = {}
        for begin in range(0, len(ids), POINTS):
            points = self._client.retrieve(
                name, _native(ids[begin : begin + POINTS]), with_payload=False, with_vectors=True
            )
            for point in points:
                vector = point.vector
                found[str(point.id)] = vector[dense] if isinstance(vector, Mapping) else vector
        return found

    def create(self, name: str, like: str, dimensions: int) -> None:
        old = self._client.get_collection(like)
        if name not in _collections(self._client):
            dense, settings = self._dense(like)
            wider = settings.model_copy(update={"size": dimensions})
            self._client.create_collection(
                name, vectors_config={dense: wider} if dense else wider, **_settings(old.config)
            )
        there = self._client.get_collection(name).payload_schema
        for field, index in old.payload_schema.items():
            if field not in there:
                self._client.create_payload_index(name, field, index.params or index.data_type, wait=True)

    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        from qdrant_client.models import PointStruct, SparseVector

        dense = self._dense(name)[0]
        points = []
        for row, vector in zip(rows, vectors.tolist(), strict=True):
            sparse = {key: SparseVector(**value) for key, value in row.record.get("sparse", {}).items()}
            whole = {dense: vector, **sparse} if dense or sparse else vector
            points.append(PointStruct(id=row.record["id"], vector=whole, payload=row.record["payload"]))
        for begin in range(0, len(points), POINTS):
            self._client.upsert(name, points[begin : begin + POINTS], wait=True)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        if ids:
            self._client.delete(name, _native(ids), wait=True)

    def switch(self, names: Names) -> None:
        self._name(names.current, names.new)

    def back(self, names: Names) -> None:
        self._name(names.current, names.previous)

    def _name(self, alias: str, collection: str) -> None:
        """Have an alias name a collection, in one step."""
        from qdrant_client import models

        if self._target(alias) != collection:
            self._client.update_collection_aliases(
                [
                    models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)),
                    models.CreateAliasOperation(
                        create_alias=models.CreateAlias(alias_name=alias, collection_name=collection)
                    ),
                ]
            )

    def why_no_switch(self, names: Names) -> str:
        if names.current in _aliases(self._client):
            return ""
        return (
            f"{names.current} is a collection of Qdrant, which cannot be renamed. Give it an alias, have your "
            "application open that as its collection_name, and move the alias: client.update_collection_aliases(["
            f"CreateAliasOperation(create_alias=CreateAlias(alias_name='{names.current}-live', "
            f"collection_name='{names.current}'))])"
        )

    def close(self) -> None:
        self._client.close()


def _aliases(client: Any) -> dict[str, str]:
    return {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}


def _collections(client: Any) -> list[str]:
    return [found.name for found in client.get_collections().collections]


def _open_to_applications(client: Any) -> list[str]:
    """The aliases, and the collections that have none."""
    aliases = _aliases(client)
    return [*aliases, *(name for name in _collections(client) if name not in aliases.values())]


def _native(ids: Sequence[str]) -> list[int | str]:
    """Qdrant's ids are whole numbers and UUIDs."""
    return [int(identity) if identity.isdecimal() else identity for identity in ids]


def _settings(config: Any) -> dict[str, Any]:
    """All that a collection is made with, but its vectors."""
    from qdrant_client import models

    kinds: dict[str, tuple[Any, Any]] = {
        "hnsw_config": (config.hnsw_config, models.HnswConfigDiff),
        "optimizers_config": (config.optimizer_config, models.OptimizersConfigDiff),
        "wal_config": (config.wal_config, models.WalConfigDiff),
        "strict_mode_config": (config.strict_mode_config, models.StrictModeConfig),
    }
    settings = {
        key: kind(
            **{
                part: value
                for part, value in given.model_dump().items()
                if part in kind.model_fields and value is not None
            }
        )
        for key, (given, kind) in kinds.items()
        if given
    }
    parameters = {key: value for key, value in dict(config.params).items() if key in PARAMETERS}
    return {
        **{key: value for key, value in parameters.items() if value is not None},
        **settings,
        "sparse_vectors_config": config.params.sparse_vectors,
        "quantization_config": config.quantization_config,
        "metadata": getattr(config, "metadata", None),
    }


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
