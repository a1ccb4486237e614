"""Which field of a request an error names, and whether it is the texts themselves.

Servers name the texts by names that the request does not have, put the names of their own types around them, and write
"None" where they name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain

TEXT_FIELDS = frozenset(
    ("input", "inputs", "input_text", "input_tokens", "text", "texts", "content", "contents", "prompt", "messages")
) | {"documents", "inputText", "instances", "requests", "singleEmbeddingParams"}
"""Names that requests have for the texts themselves."""
_NOUNS = "input text sentence passage document doc prompt content message chunk string instance"
TEXT_NOUNS = frozenset((*_NOUNS.split(), *(f"{noun}s" for noun in _NOUNS.split()), "queries", "data"))
"""What the names that servers have for the texts end with."""
_NOTHING = "none null nil na undefined unknown nan false true string empty error nonetype any all"
NOTHING = frozenset(_NOTHING.split())
"""What stands where no field is named."""
AROUND = {"body", "query", "root", "__root__", "none", "null", "nil", "undefined"}
"""Names around a field's own."""


def base_field(param: str, fields: Collection[str] = ()) -> str:
    """`input[3]`, `$.input`, `body.EmbeddingRequest.input.0` → `input`; "" where no field is named.

    Args:
        param: what the server writes.
        fields: names that the request's own body has.
    """
    if re.sub(r"\W", "", param).lower() in NOTHING:
        return ""
    names = [name for name in re.findall(r"[A-Za-z_]\w*", param) if name.lower() not in AROUND]
    own = (name for name in names if name in fields and name not in TEXT_FIELDS)
    plain = (name for name in names if not name[0].isupper())  # the others are the server's types
    return next(chain(own, filter(_is_text_name, names), plain, names), "")


def names_texts(param: str, fields: Collection[str] = ()) -> bool:
    """Whether the field is the texts, or an entry of theirs: no other field of a request is a list of many."""
    name = base_field(param, fields)
    if name in fields:
        return name in TEXT_FIELDS
    return bool(name) and (_is_text_name(name) or names_entry(param))


def names_entry(param: str) -> bool:
    """Whether one entry of a list is named: `input[3]`, `body.input.3`."""
    return bool(re.search(r"[\[./> ]\d+", param))


def _is_text_name(name: str) -> bool:
    parts = re.findall(r"[A-Z]?[a-z]+", name)
    return name in TEXT_FIELDS or (bool(parts) and name[0].islower() and parts[-1].lower() in TEXT_NOUNS)
