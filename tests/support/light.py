"""A run does no work that serves no test: what is compiled is kept, and what is loaded is not looked through again.

It is imported before anything else, because it decides what happens to all that is imported.
"""

from __future__ import annotations

import gc
import os
import sys

# A hundred tests start interpreters, and each would compile the same packages.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # threads of models that wait for one another take no core meanwhile

gc.disable()  # modules and tests stay


def leave_what_is_loaded() -> None:
    """From here on garbage is collected as ever, and what was there before is not looked at."""
    gc.freeze()
    gc.enable()
