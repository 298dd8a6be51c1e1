"""Rows: bases, column types, scopes, servers, migrations. Plugins import from here."""

from dougong.db.base import (
    InCommunity,
    InGroup,
    KernelBase,
    OnPlatform,
    plugin_base,
    uuid7,
)
from dougong.db.bulk import insert_rows
from dougong.db.clearance import restricted
from dougong.db.columns import (
    Money,
    encrypted,
    label,
    labels,
    member_label,
    money,
    ref,
    state,
    to_one,
)
from dougong.db.migrator import import_kernel_models as all_models
from dougong.db.rules import record_rule
from dougong.db.scope import Actor, Grant, Scope

__all__ = [
    "Actor",
    "Grant",
    "InCommunity",
    "InGroup",
    "KernelBase",
    "Money",
    "OnPlatform",
    "Scope",
    "all_models",
    "encrypted",
    "insert_rows",
    "label",
    "labels",
    "member_label",
    "money",
    "plugin_base",
    "record_rule",
    "ref",
    "restricted",
    "state",
    "to_one",
    "uuid7",
]
