"""What is known of embedding models, as data: one TOML file a provider. Importing reads none of them."""

from .card import ModelCard
from .names import look_up
from .rows import cards

__all__ = ["ModelCard", "cards", "look_up"]
