"""Variants of a model's directory: another name, other settings, the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG = "config_sentence_transformers.json"


def variant(source: Path, target: Path, **settings: Any) -> Path:
    """`target`, a directory like `source` of links to its files, with other settings of sentence-transformers."""
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            copy.symlink_to(path)
    change(target / CONFIG, **settings)
    return target


def shallow(source: Path, target: Path) -> Path:
    """`target`, as `source` with the first of its layers alone: it reads what `source` reads, and computes a tenth."""
    variant(source, target)
    change(target / "config.json", num_hidden_layers=1)
    return target


def change(file: Path, **settings: Any) -> None:
    """Put a copy with other settings in place of a link; a setting of None is left out."""
    saved = json.loads(file.read_text()) | settings
    file.unlink()
    file.write_text(json.dumps({name: value for name, value in saved.items() if value is not None}))


def loaded(path: Path) -> Any:
    """A directory's model as sentence-transformers has it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(path), device="cpu", local_files_only=True)
