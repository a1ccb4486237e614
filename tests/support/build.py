"""What takes seconds to make is made once, kept in `.cache/` below the repository's root, and never seen half made."""

from __future__ import annotations

import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"


def built(name: str, write: Callable[[Path, Path], None], source: Path, digest: str) -> Path:
    """What `write(source, target)` makes; made anew when `digest` or the module of `write` has changed."""
    code = inspect.getsource(inspect.getmodule(write))
    version = hashlib.sha256((name + digest + code).encode()).hexdigest()[:12]
    target = CACHE / version / name
    if target.exists():
        return target
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        write(source, folder / name)
        if not target.exists():  # another run may have been faster
            for older in CACHE.glob(f"{'[0-9a-f]' * 12}/{name}"):
                shutil.rmtree(older.parent)
            folder.rename(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def sha256(path: Path) -> str:
    """A file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
