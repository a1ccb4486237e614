"""Facts about embedding models, as data: a TOML file for each provider, read when it is first needed."""

from .card import ModelCard
from .names import look_up
from .rows import cards

__all__ = ["ModelCard", "cards", "look_up"]
