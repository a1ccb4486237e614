"""Facts about embedding models, as data: a TOML file for each provider, read when it is first needed."""

from .card import ModelCard
from .hosts import Host, RoleFields, find_host, hosts
from .names import foundation_model, look_up
from .rows import VENDORS, cards

__all__ = ["VENDORS", "Host", "ModelCard", "RoleFields", "cards", "find_host", "foundation_model", "hosts", "look_up"]
