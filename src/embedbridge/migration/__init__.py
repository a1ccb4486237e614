"""An index moves to another model: planned, measured, built beside the old one, switched, and switched back."""

from __future__ import annotations

__all__: list[str] = []
