"""What PostgreSQL's own catalogue says of schemas: read once, for protection and for the linter.

It is read from pg_catalog and never from the models, so that what was made behind their back is
seen too. Expressions and definitions are texts as PostgreSQL prints them with an empty search path,
the same for everybody who asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

Grants = dict[str, frozenset[str]]
COMMANDS = {"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}


@dataclass(frozen=True)
class Key:
    """A unique or exclusion constraint or index; columns in its order, '' for an expression.

    equal: for an exclusion, the columns that it compares with ``=``; else all.
    """

    name: str
    columns: tuple[str, ...]
    equal: tuple[str, ...]
    is_primary: bool


@dataclass(frozen=True)
class Reference:
    """A foreign key: pairs of (column here, column there), what it does on delete and update."""

    name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    on_delete: str
    on_update: str


@dataclass
class Relation:
    """A table, partition, view or sequence.

    kind: pg_class.relkind. policies: (command, is permissive, roles, USING, WITH CHECK) by name.
    grants, column_grants: in small letters, by role, without the owner's; ``PUBLIC`` is everybody.
    triggers: definition and pg_trigger.tgenabled by name. idle: how many of PostgreSQL's own
    triggers, by which foreign keys work, are switched off.
    """

    name: str
    kind: str = "r"
    owner: str = ""
    persistence: str = "p"
    root: str = ""
    options: tuple[str, ...] = ()
    secured: bool = False
    forced: bool = False
    policies: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    grants: Grants = field(default_factory=dict)
    column_grants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    may_pass_on: frozenset[str] = frozenset()
    triggers: dict[str, tuple[str, str]] = field(default_factory=dict)
    idle: int = 0
    rules: tuple[str, ...] = ()
    enums: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    keys: list[Key] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)


@dataclass
class Catalogue:
    """The relations of some schemas by ``schema.name``, and who may use and fill the schemas."""

    relations: dict[str, Relation] = field(default_factory=dict)
    schemas: dict[str, Grants] = field(default_factory=dict)

    def partitions_of(self, root: str) -> list[Relation]:
        """Return the partitions of a table, those of partitions included."""
        return [each for each in self.relations.values() if each.root == root]


def read_catalogue(connection: Connection, *schemas: str) -> Catalogue:
    """Return what the database has in ``schemas``; those that do not exist are left out."""
    with _printed_in_full(connection):
        found = Catalogue()
        for row in _rows(connection, RELATIONS, schemas):
            found.relations[row.name] = Relation(
                row.name,
                row.kind,
                row.owner,
                row.persistence,
                row.root or "",
                tuple(row.options or ()),
                row.secured,
                row.forced,
                enums=tuple(row.enums),
                counted=tuple(row.counted),
                rules=tuple(row.rules),
            )
        _read_rights(connection, schemas, found)
        _read_triggers(connection, schemas, found)
        _read_keys(connection, schemas, found)
    return found


@contextmanager
def _printed_in_full(connection: Connection) -> Iterator[None]:
    before = connection.scalar(text("select current_setting('search_path')"))
    change = text("select set_config('search_path', :path, true)")
    connection.execute(change, {"path": "pg_catalog"})
    yield
    connection.execute(change, {"path": before})


def _rows(connection: Connection, query: str, schemas: tuple[str, ...]) -> list[Row[Any]]:
    return list(connection.execute(text(query), {"schemas": list(schemas)}))


def _read_rights(connection: Connection, schemas: tuple[str, ...], found: Catalogue) -> None:
    for row in _rows(connection, POLICIES, schemas):
        found.relations[row.name].policies[row.policy] = (
            COMMANDS[row.command],
            row.permissive,
            tuple(row.roles),
            row.using,
            row.checking,
        )
    for row in _rows(connection, GRANTS, schemas):
        relation = found.relations[row.name]
        relation.grants[row.role] = frozenset(row.verbs)
        if row.may_pass_on:
            relation.may_pass_on |= {row.role}
    for row in _rows(connection, COLUMN_GRANTS, schemas):
        found.relations[row.name].column_grants[row.role] = tuple(row.verbs)
    for row in _rows(connection, SCHEMAS, schemas):
        users = found.schemas.setdefault(row.name, {})
        if row.role is not None:
            users[row.role] = frozenset(row.verbs)


def _read_triggers(connection: Connection, schemas: tuple[str, ...], found: Catalogue) -> None:
    for row in _rows(connection, TRIGGERS, schemas):
        relation = found.relations[row.name]
        if row.internal:
            relation.idle += row.enabled == "D"
        else:
            relation.triggers[row.trigger] = (row.definition, row.enabled)


def _read_keys(connection: Connection, schemas: tuple[str, ...], found: Catalogue) -> None:
    for row in _rows(connection, KEYS, schemas):
        columns = tuple(row.columns)
        operators = row.operators or ["="] * len(columns)
        equal = tuple(c for c, o in zip(columns, operators, strict=True) if o == "=")
        key = Key(row.key, columns, equal, row.is_primary)
        found.relations[row.name].keys.append(key)
    for row in _rows(connection, REFERENCES, schemas):
        pairs = tuple(zip(row.columns, row.target_columns, strict=True))
        reference = Reference(row.key, row.target, pairs, row.on_delete, row.on_update)
        found.relations[row.name].references.append(reference)


HERE = """
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
"""
IN_SCHEMAS = " where n.nspname = any (:schemas) "
NAME = " n.nspname || '.' || c.relname as name "
ROLE = " coalesce(pg_get_userbyid(nullif(a.grantee, 0)), 'PUBLIC')::text as role "

RELATIONS = f"""
    select {NAME}, c.relkind::text as kind, pg_get_userbyid(c.relowner)::text as owner,
           c.relpersistence::text as persistence, c.reloptions as options,
           c.relrowsecurity as secured, c.relforcerowsecurity as forced,
           (select pn.nspname || '.' || p.relname from pg_class p
            join pg_namespace pn on pn.oid = p.relnamespace
            where c.relispartition and p.oid = pg_partition_root(c.oid)) as root,
           array(select a.attname::text from pg_attribute a join pg_type t on t.oid = a.atttypid
                 where a.attrelid = c.oid and a.attnum > 0 and t.typtype = 'e') as enums,
           array(select a.attname::text from pg_attribute a
                 left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                 where a.attrelid = c.oid and a.attnum > 0
                 and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) ~ '^nextval'))
               as counted,
           array(select r.rulename::text from pg_rewrite r
                 where r.ev_class = c.oid and r.rulename <> '_RETURN') as rules
    {HERE} {IN_SCHEMAS} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
"""
POLICIES = f"""
    select {NAME}, p.polname::text as policy, p.polcmd::text as command,
           p.polpermissive as permissive, pg_get_expr(p.polqual, p.polrelid) as using,
           pg_get_expr(p.polwithcheck, p.polrelid) as checking,
           array(select coalesce(pg_get_userbyid(nullif(r, 0)), 'PUBLIC')::text
                 from unnest(p.polroles) r order by 1) as roles
    {HERE} join pg_policy p on p.polrelid = c.oid {IN_SCHEMAS}
"""
GRANTS = f"""
    select {NAME}, {ROLE}, array_agg(lower(a.privilege_type)) as verbs,
           bool_or(a.is_grantable) as may_pass_on
    {HERE} cross join aclexplode(c.relacl) a
    {IN_SCHEMAS} and a.grantee <> c.relowner and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    group by 1, 2
"""
COLUMN_GRANTS = f"""
    select {NAME}, {ROLE},
           array_agg(lower(a.privilege_type) || ' (' || f.attname || ')' order by 1) as verbs
    {HERE} join pg_attribute f on f.attrelid = c.oid cross join aclexplode(f.attacl) a
    {IN_SCHEMAS} and f.attnum > 0 and a.grantee <> c.relowner group by 1, 2
"""
SCHEMAS = f"""
    select n.nspname::text as name, case when a.grantee is not null then {ROLE.split(" as ")[0]}
           end as role, array_agg(lower(a.privilege_type)) as verbs
    from pg_namespace n left join aclexplode(n.nspacl) a on a.grantee <> n.nspowner
    {IN_SCHEMAS} group by 1, 2
"""
TRIGGERS = f"""
    select {NAME}, t.tgname::text as trigger, t.tgisinternal as internal,
           t.tgenabled::text as enabled,
           case when not t.tgisinternal then pg_get_triggerdef(t.oid) end as definition
    {HERE} join pg_trigger t on t.tgrelid = c.oid
    {IN_SCHEMAS} and (not t.tgisinternal or t.tgenabled = 'D')
"""
KEYS = f"""
    select {NAME}, x.relname::text as key, i.indisprimary as is_primary,
           array(select coalesce(a.attname::text, '')
                 from unnest(i.indkey) with ordinality k(number, place)
                 left join pg_attribute a on a.attrelid = c.oid and a.attnum = nullif(k.number, 0)
                 where k.place <= i.indnkeyatts order by k.place) as columns,
           (select array_agg(o.oprname::text order by e.place)
            from pg_constraint e_of cross join unnest(e_of.conexclop) with ordinality e(op, place)
            join pg_operator o on o.oid = e.op
            where e_of.conindid = i.indexrelid and e_of.contype = 'x') as operators
    {HERE} join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
    {IN_SCHEMAS} and (i.indisunique or i.indisexclusion)
"""
REFERENCES = f"""
    select {NAME}, f.conname::text as key, tn.nspname || '.' || t.relname as target,
           f.confdeltype::text as on_delete, f.confupdtype::text as on_update,
           array(select a.attname::text from unnest(f.conkey) with ordinality k(number, place)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                 order by k.place) as columns,
           array(select a.attname::text from unnest(f.confkey) with ordinality k(number, place)
                 join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
                 order by k.place) as target_columns
    {HERE} join pg_constraint f on f.conrelid = c.oid and f.contype = 'f' and f.conparentid = 0
    join pg_class t on t.oid = f.confrelid join pg_namespace tn on tn.oid = t.relnamespace
    {IN_SCHEMAS}
"""
