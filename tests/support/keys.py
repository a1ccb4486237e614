"""The environment variables that hold the providers' keys."""

from __future__ import annotations

from embedbridge.providers import BUILT_IN, provider_class

VARIABLES = {name: provider_class(name).key_variables for name in BUILT_IN}
"""Provider that comes with embedbridge → the variables that may hold its key."""
KEYS = tuple(sorted({variables[0] for variables in VARIABLES.values() if variables}))
"""One variable for each key that is needed."""
