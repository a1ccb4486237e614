"""An import that takes as long as a test wants."""

from __future__ import annotations

import sys
import threading
from importlib.abc import MetaPathFinder
from typing import Any


class HeldImport(MetaPathFinder):
    """Holds the import of a module, which is the real one, until it is let go."""

    def __init__(self, module: str) -> None:
        self._module = module
        self.begun, self.let_go = threading.Event(), threading.Event()
        sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Find nothing, late."""
        if fullname == self._module:
            self.begun.set()
            self.let_go.wait(30)
