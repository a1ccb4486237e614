"""Methods for pictures and films, which originals have and this package does not."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

__all__ = ["NoImages"]


class NoImages:
    """For stand-ins of classes that embed images too: each of those methods names the original's package."""

    package: ClassVar[str]

    def _no_images(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(
            f"embedbridge embeds text alone; for images and videos use {self.package}'s own {type(self).__name__}"
        )

    async def _ano_images(self, *_: Any, **__: Any) -> NoReturn:
        self._no_images()

    get_image_embedding = get_image_embedding_batch = get_video_embedding = get_video_embeddings = _no_images
    aget_image_embedding = aget_image_embedding_batch = aget_video_embedding = aget_video_embeddings = _ano_images
