"""Roles, schemas, the database, default privileges: the rights around the tables."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from dougong.db.catalogue import Catalogue
from dougong.db.linter.findings import Finding, put_back
from dougong.db.protection import SCHEMA_USERS

MAY_BYPASS = ("dougong_owner", "dougong_platform", "dougong_backup")


def lint_server(connection: Connection, catalogue: Catalogue) -> Iterator[Finding]:
    """Yield what roles may do beyond what the kernel gave them."""
    yield from _roles(connection)
    yield from _schemas(catalogue)
    for query, remedy in BEYOND:
        for where, fault, undo in connection.execute(text(query)):
            yield Finding(where, fault, remedy.format(where=where, undo=undo))


def _roles(connection: Connection) -> Iterator[Finding]:
    for role in connection.execute(text(ROLES)):
        if role.rolsuper or role.rolcreaterole or role.rolcreatedb or role.rolreplication:
            remedy = (
                f"run `alter role {role.name} nosuperuser nocreaterole nocreatedb noreplication`"
            )
            yield Finding(role.name, "has more rights than the kernel gave it", remedy)
        if role.rolbypassrls and role.name not in MAY_BYPASS:
            remedy = f"run `alter role {role.name} nobypassrls`"
            yield Finding(role.name, "bypasses row-level security", remedy)
        if role.name == "dougong_owner" and role.rolcanlogin:
            yield Finding(role.name, "can sign in", "run `alter role dougong_owner nologin`")
        beyond = [
            r for r in role.member_of if (role.name, r) != ("dougong_migrator", "dougong_owner")
        ]
        for each in beyond:
            yield Finding(
                role.name, f"is a member of {each}", f"run `revoke {each} from {role.name}`"
            )


def _schemas(catalogue: Catalogue) -> Iterator[Finding]:
    for schema, users in sorted(catalogue.schemas.items()):
        for role, verbs in sorted(users.items()):
            extra = verbs - ({"usage"} if role in SCHEMA_USERS else frozenset())
            if extra:
                said = ", ".join(sorted(extra))
                remedy = f"run `revoke {said} on schema {schema} from {role}`"
                yield Finding(schema, f"{role} has the right {said} on the schema", remedy)
        for role in SCHEMA_USERS:
            if "usage" not in users.get(role, ()):
                yield Finding(schema, f"{role} may not use the schema", put_back(schema))


ROLES = """
    select r.rolname::text as name, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,
           r.rolreplication, r.rolcanlogin,
           array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
                 where m.member = r.oid order by 1) as member_of
    from pg_roles r where r.rolname like 'dougong\\_%' order by 1
"""
WHO = "coalesce(pg_get_userbyid(nullif(a.grantee, 0)), 'PUBLIC')::text"
# Each query yields (where, fault, a word for the remedy).
BEYOND = (
    (
        f"""
        select d.datname::text,
               {WHO} || ' has the right ' || a.privilege_type || ' on the database',
               a.privilege_type || ' on database ' || d.datname || ' from ' || {WHO}
        from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        where d.datname = current_database() and a.grantee <> d.datdba
        and (a.grantee = 0 or pg_get_userbyid(a.grantee) like 'dougong\\_%'
             and a.privilege_type <> 'CONNECT')
        order by 2
        """,
        "run `revoke {undo}`: who may make temporary tables can put one before a real one",
    ),
    (
        f"""
        select n.nspname::text, {WHO} || ' may create in the schema', {WHO}
        from pg_namespace n, aclexplode(n.nspacl) a
        where n.nspname = 'public' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner
        """,
        "run `revoke create on schema {where} from {undo}`",
    ),
    (
        """
        select 'public.' || c.relname, 'lies in the schema that everybody uses', ''
        from pg_class c where c.relnamespace = 'public'::regnamespace
        and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
        order by 1
        """,
        "move it into the schema of its plugin, or drop it",
    ),
    (
        f"""
        select n.nspname::text, {WHO} || ' may still use a schema that is put aside', {WHO}
        from pg_namespace n, aclexplode(n.nspacl) a
        where n.nspname like 'archive\\_%' and (a.grantee = 0
              or pg_get_userbyid(a.grantee) in ('dougong_app', 'dougong_access')) order by 1, 2
        """,
        "run `revoke all on schema {where} from {undo}`",
    ),
    (
        f"""
        select coalesce(n.nspname::text, 'every schema'),
               {WHO} || ' gets ' || a.privilege_type || ' on whatever '
               || pg_get_userbyid(f.defaclrole) || ' makes (ALTER DEFAULT PRIVILEGES)',
               pg_get_userbyid(f.defaclrole)::text
        from pg_default_acl f left join pg_namespace n on n.oid = f.defaclnamespace,
        aclexplode(f.defaclacl) a
        where a.grantee <> f.defaclrole and not (a.grantee = 0 and f.defaclobjtype in ('f', 'T'))
        order by 1, 2
        """,
        "run `alter default privileges for role {undo} … revoke …`: the kernel grants itself",
    ),
    (
        f"""
        select 'backtrace_functions', {WHO} || ' may set the parameter that holds the scope', {WHO}
        from pg_parameter_acl p, aclexplode(p.paracl) a
        where p.parname = 'backtrace_functions' and pg_get_userbyid(a.grantee) <> 'dougong_owner'
        and not exists (select from pg_roles r where r.oid = a.grantee and r.rolsuper)
        """,
        "run `revoke all on parameter backtrace_functions from {undo}`: who sets it forges scopes",
    ),
)
