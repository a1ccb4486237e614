"""What a failed request means. `_core/retry.py` decides by it, and has to decide for every member."""

from __future__ import annotations

from enum import StrEnum

TOO_FAST = 429
"""The status of what comes too fast."""


class Kind(StrEnum):
    """What a failed request means, where more than its HTTP status is known."""

    NONE = ""
    """Only the status is known, or not even that."""

    # No answer.
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    REDIRECT = "redirect"

    # An answer that refuses.
    NOT_INSTALLED = "not_installed"
    CONFIGURATION = "configuration"
    """A field of the request, or the way it is sent, is wrong, whatever the texts are."""
    MISSING_MODEL = "missing_model"
    KEY = "key"
    """The key is not accepted."""
    QUOTA = "quota"
    """Nothing is left of what the account may use, and no short wait changes that."""
    RATE = "rate"
    """Too much in too short a time: it passes."""
    BUSY = "busy"
    """The server is overloaded, or loads the model: it passes."""
    TOO_LONG = "too_long"
    """One text is longer than the model reads."""
    PERHAPS_LONG = "perhaps_long"
    """A text is refused in words that are not known, and that speak of a length."""
    TOO_MUCH = "too_much"
    """The request as a whole is too large: texts, tokens or bytes."""
    OVER_RATE = "over_rate"
    """The request alone has more than may be asked for in a minute: smaller ones are waited for."""
    OUT_OF_MEMORY = "out_of_memory"
    """The request does not fit into the server's memory."""
    TEXT = "text"
    """A text is refused for what it says, or cannot be embedded: moderation, a firewall, a vector of NaN."""

    BLOCKED = "blocked"
    """What stands between here and the API blocks the request, or one of its texts: a firewall, a proxy, a login."""

    SPACE = "space"
    """Not said by a server: an endpoint of a pool gives other vectors than the others."""

    # An answer that is none.
    COUNT = "count"
    INDEX = "index"
    WIDTH = "width"
    VALUE = "value"
    MODEL = "model"
    NOT_JSON = "not_json"
    NO_DATA = "no_data"
    ERROR = "error"
    ENCODING = "encoding"
    TOO_LARGE = "too_large"
    MODEL_FAILED = "model_failed"
    UNSOUND = "unsound"
    """Any other fault of an answer: a word that is no member of this enum becomes this one."""

    @classmethod
    def _missing_(cls, value: object) -> Kind:
        return cls.UNSOUND

    def is_of_rates(self, status: int | None) -> bool:
        """Whether something was refused because it comes too fast: by what is known of it, else by its status."""
        return self is Kind.RATE or (self is Kind.NONE and status == TOO_FAST)
