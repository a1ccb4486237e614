"""A server's words, apart from those that it only quotes from the texts which it was sent."""

from __future__ import annotations

import re
from dataclasses import dataclass

LEAST = 14
"""Characters of three words in a row that are taken for a quotation; four words may be shorter."""
WORK = 1 << 24
"""Characters of texts that are searched for quotations, all words together."""


@dataclass(slots=True)
class Said:
    """What a server says to a request.

    Args:
        words: as they came.
        sent: the texts of the request in small letters, with a NUL before, between and after them; "": not known.
    """

    words: str
    sent: str = ""
    _quoted: bytearray | None = None

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first place that is the server's own, or has a number of its own."""
        return next((found for found in pattern.finditer(self.words) if not self._is_quoted(found)), None)

    def own(self) -> str:
        """The words without what is quoted."""
        quoted = self._find_quoted()
        return "".join(" " if quoted[at] else char for at, char in enumerate(self.words))

    def _is_quoted(self, found: re.Match[str]) -> bool:
        quoted, begin, end = self._find_quoted(), *found.span()
        if not any(quoted[begin:end]):
            return False
        numbers = [at for at in range(begin, end) if self.words[at].isdigit()]
        return bool(quoted[begin] or quoted[end - 1]) and all(quoted[at] for at in numbers)

    def _find_quoted(self) -> bytearray:
        """A byte for each character: whether three words around it stand in a text in this order, or it is a text."""
        if self._quoted is not None:
            return self._quoted
        self._quoted = quoted = bytearray(len(self.words))
        places = [found.span() for found in re.finditer(r"\w+", self.words)] if self.sent else []
        left = WORK // max(1, len(self.sent))
        for at, (begin, _) in enumerate(places):
            for more in range(4):
                if at + more >= len(places) or left <= 0:
                    break
                end = places[at + more][1]
                window = self.words[begin:end].lower()
                if more < 2:
                    window = f"\0{window}\0"
                elif more == 2 and end - begin < LEAST:
                    continue
                left -= 1
                if window in self.sent:
                    quoted[begin:end] = b"\1" * (end - begin)
        return quoted
