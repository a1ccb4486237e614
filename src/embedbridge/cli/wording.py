"""What the library says of its options, in the words of the command line: it names flags where Python has keywords."""

from __future__ import annotations

import re

from embedbridge.options import EmbedderOptions

__all__ = ["in_flags"]

NO_FLAG = {"provider_options", "rate_limiter", "observers", "api_key", "cache_ttl", "cache_size_limit", "cache_dtype"}
NO_FLAG |= {"deadline", "show_progress"}
FLAGS = {name: f"--{name.replace('_', '-')}" for name in EmbedderOptions.model_fields if name not in NO_FLAG}
_NAMES = "|".join(FLAGS)
_VALUE = r"'[^']*'|\"[^\"]*\"|\{[^{}]*\}|\[[^\[\]]*\]|[^\s,;:)]*"
_OWN = re.compile(rf"provider_options=\{{'(\w+)': ({_VALUE})\}}")
_OF_A_PROVIDER = re.compile(r"provider_options(?: of '[^']*')?: ?")
_SET = re.compile(rf"\b({_NAMES})=({_VALUE})")
_OF_AN_INDEX = re.compile(rf"\b(guard|journal|sample)=({_VALUE})")
_OPTION_OF_AN_INDEX = re.compile(r"\bthe options? (\w+=)")
_AT_FIRST = re.compile(rf"(^|; )({_NAMES}): ")
_OF_AN_ENDPOINT = re.compile(r"(--endpoints?|endpoints): entry \d")
_TWO_WORDS = re.compile(rf"\b({'|'.join(name for name in FLAGS if '_' in name)})\b")
_KEY = (
    (", or pass api_key=…", ""),
    ("; pass it as api_key=…", "; set it in the environment"),
    ("cache=False", "--no-cache"),
    ("allow_dangerous_deserialization=True", "--trust-pickle"),
    ("'allow_dangerous_deserialization'", "--trust-pickle"),
    ("'normalize_L2'", "--normalize-l2"),
    (" or False", ""),
    ("; a key itself is api_key", ""),
)


def in_flags(told: str) -> str:
    """An error's message, with flags where the library names keywords. A key has no flag, on purpose.

    Args:
        told: the library's message.

    Returns:
        The message in the words of the command line.
    """
    for python, here in _KEY:
        told = told.replace(python, here)
    if _OF_AN_ENDPOINT.match(told):  # its fields are named alike here
        return re.sub("^endpoints", FLAGS["endpoints"], told)
    told = _OWN.sub(lambda found: f"--option {found[1]}={_plain(found[2])}", told)
    told = _OF_A_PROVIDER.sub("--option ", told).replace("provider_options", "--option")
    told = _SET.sub(lambda found: f"{FLAGS[found[1]]} {_plain(found[2])}".rstrip(), told)
    told = _AT_FIRST.sub(lambda found: f"{found[1]}{FLAGS[found[2]]}: ", told)
    told = _OF_AN_INDEX.sub(lambda found: f"--{found[1]} {_plain(found[2])}".rstrip(" …"), told)
    told = _OPTION_OF_AN_INDEX.sub(r"--index-option \1", told)
    return _TWO_WORDS.sub(lambda found: FLAGS[found[1]], told)


def _plain(value: str) -> str:
    """A value as it is typed: words without quotes, and true for True."""
    return value.strip("'\"") if value not in {"True", "False"} else value.lower()
