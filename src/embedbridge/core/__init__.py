"""Where the modules of `_core` were. The old names go on working for one release, with a DeprecationWarning."""

import importlib
import pkgutil
import sys
import warnings

from embedbridge import _core, errors, events

warnings.warn(
    "embedbridge.core has moved: import from embedbridge, or its modules errors, events and providers",
    DeprecationWarning,
    stacklevel=2,
)
for _found in pkgutil.iter_modules(_core.__path__):
    sys.modules[f"{__name__}.{_found.name}"] = importlib.import_module(f"{_core.__name__}.{_found.name}")
sys.modules[f"{__name__}.errors"], sys.modules[f"{__name__}.events"] = errors, events
