"""Methods for pictures, sounds and films, which originals have and this package does not."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["ano_media", "no_media"]


def no_media(self: Any, *_: Any, **__: Any) -> NoReturn:
    """Refuse, as a method of a stand-in.

    Raises:
        NotImplementedError: names the package that embeds them.
    """
    raise NotImplementedError(
        f"embedbridge embeds text alone; for images, sounds and videos use {self.package}'s own {type(self).__name__}"
    )


async def ano_media(self: Any, *_: Any, **__: Any) -> NoReturn:
    """Refuse, as a method that is awaited."""
    no_media(self)
