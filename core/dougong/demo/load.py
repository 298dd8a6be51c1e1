"""Loads the demonstration: organisation, ground, plugins and what plugins add."""

from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.demo.ground import Ground, demonstrations
from dougong.demo.users import load_users
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.plugins.operations import enable, install
from dougong.tenancy.models import (
    Building,
    Community,
    CommunityKind,
    LegalEntity,
    PropertyGroup,
    Region,
)
from dougong.tenancy.operations import set_setting

SEED = 20261124
GROUP = "江南物业集团"
ENABLED = {
    "estate": (
        "ledger",
        "online_payment",
        "meters",
        "fees",
        "desk",
        "arrears",
        "invoices",
        "participation",
        "repairs",
        "equipment",
        "renovation",
    ),
    "old_community": (
        "ledger",
        "online_payment",
        "fees",
        "desk",
        "arrears",
        "invoices",
        "participation",
    ),
    "campus": ("ledger", "online_payment", "meters", "fees", "prepaid"),
}
SETTINGS = {
    "ledger.allows_demo_top_up": True,
    "repairs.desk_phone": "021-5550-0119",
    "prepaid.policy": "学生宿舍用电管理办法（2026年修订）第七条",
    "prepaid.limit_watts": 2000,
    "prepaid.step_watts": 1500,
}
ONLY_TWO_BUILDINGS = {("campus", "meters"), ("campus", "prepaid")}
ENTITIES = {
    "华东": ("江南物业服务有限公司", "91310000MA1DEMO001"),
    "华中": ("江南后勤服务有限公司", "91420000MA1DEMO002"),
}
Progress = Callable[[str, int, int], None]


def is_loaded(installation: Installation) -> bool:
    """Tell whether the demonstration group is there."""
    with installation.platform() as session:
        found = session.scalars(select(PropertyGroup).where(PropertyGroup.name == GROUP)).first()
        return found is not None


def load(installation: Installation, progress: Progress | None = None) -> UUID:
    """Load the demonstration and return its group's id; it is the same every time.

    progress: called with what is being done, and how far of how many steps.
    """
    report = progress or (lambda what, done, total: None)
    system = Actor.system("demo")
    communities = list(demonstrations())
    total = len(communities) * 3 + 1
    for plugin in sorted({plugin for plugins in ENABLED.values() for plugin in plugins}):
        if plugin in installation.plugins.found:
            install(installation, system, plugin)
    with installation.platform(system) as session:
        group_id, ids = _organisation(session)
    with installation.access(system) as session:
        for name, value in SETTINGS.items():
            set_setting(session, group_id, name, value)
    report(gettext(N_("property group")), 1, total)
    for number, (name, kind, _) in enumerate(communities):
        chance = Random(SEED + number)
        community_id = ids[name]
        with installation.scope(system, community=community_id) as scope:
            getattr(Ground(chance, number * 20_000), kind)().write(scope)
        _analyze(installation)
        report(gettext(N_("%(place)s: rooms and people"), place=name), number * 3 + 2, total)
        _enable(installation, system, community_id, kind)
        report(gettext(N_("%(place)s: plugins"), place=name), number * 3 + 3, total)
        load_plugins(installation, community_id, chance)
        report(gettext(N_("%(place)s: meters, fees and bills"), place=name), number * 3 + 4, total)
    load_users(installation, group_id, {kind: ids[name] for name, kind, _ in communities})
    return group_id


def _organisation(session: Session) -> tuple[UUID, dict[str, UUID]]:
    group = PropertyGroup(id=uuid7(), name=GROUP)
    session.add(group)
    session.flush()
    regions: dict[str, Any] = {}
    entities: dict[str, Any] = {}
    for region, (name, tax_number) in ENTITIES.items():
        regions[region] = Region(group_id=group.id, name=region)
        entities[region] = LegalEntity(
            group_id=group.id,
            name=name,
            tax_number=tax_number,
            bank_name="中国建设银行江州支行",
            bank_account=f"4200{tax_number[-3:]}0088",
        )
    session.add_all([*regions.values(), *entities.values()])
    session.flush()
    ids = {}
    for name, kind, region in demonstrations():
        community = Community(
            id=uuid7(),
            group_id=group.id,
            name=name,
            kind=CommunityKind(kind),
            region_id=regions[region].id,
            legal_entity_id=entities[region].id,
            address=f"江州市{region}路 1 号",
        )
        session.add(community)
        ids[name] = community.id
    return group.id, ids


def _enable(installation: Installation, actor: Actor, community_id: UUID, kind: str) -> None:
    for plugin in ENABLED[kind]:
        if plugin not in installation.plugins.loaded:
            continue
        buildings = None
        if (kind, plugin) in ONLY_TWO_BUILDINGS:
            with installation.scope(actor, community=community_id) as scope:
                buildings = scope.session.scalars(
                    select(Building.id).order_by(Building.sort_key).limit(2)
                ).all()
        enable(installation, actor, plugin, community_id, buildings=buildings)


def load_plugins(installation: Installation, community_id: UUID, chance: Random) -> None:
    """Let each enabled plugin write its part, dependencies first, each in its transaction."""
    plugins = installation.plugins
    for plugin in [p for p in plugins.order if p in plugins.loaded]:
        with installation.scope(Actor.system("demo"), community=community_id) as scope:
            is_on = plugin in scope.enabled
            if is_on:
                installation.plugins.hooks.tell(scope, plugin, "load_demo", chance=chance)
        if is_on:
            _analyze(installation)


def _analyze(installation: Installation) -> None:
    """Let the planner know the new rows; only the owner of the tables may."""
    with installation.databases.engine("migrator").begin() as connection:
        connection.execute(text("analyze"))
