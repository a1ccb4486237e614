"""Facts about embedding models, as data: a TOML file for each provider, read when it is first needed."""

from .card import ModelCard
from .hosts import Host, RoleFields, find_host, hosts
from .names import look_up
from .rows import VENDORS, cards

__all__ = ["VENDORS", "Host", "ModelCard", "RoleFields", "cards", "find_host", "hosts", "look_up"]
