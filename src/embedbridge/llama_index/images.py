"""Methods for pictures and films, which originals have and this package does not."""

from __future__ import annotations

from embedbridge._frameworks.stand_in import ano_media, no_media

__all__ = ["NoImages"]


class NoImages:
    """For stand-ins of classes that embed images too: each of those methods names the original's package."""

    get_image_embedding = get_image_embedding_batch = get_video_embedding = get_video_embeddings = no_media
    aget_image_embedding = aget_image_embedding_batch = aget_video_embedding = aget_video_embeddings = ano_media
