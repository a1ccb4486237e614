"""`python -m embedbridge` does what the script `embedbridge` does."""

from .cli import main

raise SystemExit(main())
