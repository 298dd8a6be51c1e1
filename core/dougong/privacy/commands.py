"""`dougong keys …` and `dougong privacy …`: keys and personal data from the command line."""

import json
import sys
from collections.abc import Callable
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext, ngettext, translate_error
from dougong.installation import Installation
from dougong.privacy import erasure, purposes, retention, reveals, rotation, shredding, subjects
from dougong.privacy.keyring import PLATFORM
from dougong.tenancy.models import Person

ACTOR = Actor.system("command line")
keys_commands = click.Group("keys", help="Look after the keys of personal data.")
privacy_commands = click.Group("privacy", help="Export, erase and let go of personal data.")
COMMUNITY = click.option("--community", required=True, help="Name or id of the community.")


def _running(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the installation, and tell people errors in their words."""

    @wraps(command)
    @click.pass_context
    def run(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        given = context.find_object(Installation)
        installation = given or Installation.open()
        try:
            return command(installation, *args, **kwargs)
        except DougongError as error:
            raise click.ClickException(translate_error(error)) from error
        finally:
            if given is None:
                installation.close()

    return run


def scopes(installation: Installation) -> dict[UUID, str]:
    """Return every owner of keys with its name: the platform, groups, communities."""
    query = text(
        "select id, name from dougong.property_group union all"
        " select id, name from dougong.community order by name"
    )
    with installation.access() as session:
        found = {row.id: row.name for row in session.execute(query)}
    return {PLATFORM: gettext(N_("platform")), **found}


def scope_named(installation: Installation, name: str) -> UUID:
    """Return the id of the only community or group with this name or id; raises NotFound."""
    found = [id for id, known in scopes(installation).items() if name in (str(id), known)]
    if len(found) != 1:
        raise NotFound(N_("There is no single community named %(name)s."), name=name)
    return found[0]


# --- keys ---------------------------------------------------------------------------------------


@keys_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_running
def list_keys(installation: Installation, as_json: bool) -> None:
    """Show every key, whose it is and where it stands; never the key itself."""
    names = scopes(installation)
    for row in installation.keyring.rows():
        fields = {
            "scope": str(row.scope_id),
            "name": names.get(row.scope_id, ""),
            "purpose": row.purpose.value,
            "number": row.number,
            "state": row.state.value,
            "provider": row.provider,
            "made_at": row.made_at.isoformat(timespec="seconds"),
        }
        line = (
            json.dumps(fields, ensure_ascii=False)
            if as_json
            else "  ".join(map(str, fields.values()))
        )
        click.echo(line)


@keys_commands.command("rotate")
@click.option("--community", help="Only this community or group (name or id).")
@click.option("--batch", default=rotation.BATCH, show_default=True, help="Values per transaction.")
@_running
def rotate(installation: Installation, community: str | None, batch: int) -> None:
    """Seal every value under new keys, while people read and write. Safe to run again."""
    chosen = [scope_named(installation, community)] if community else list(scopes(installation))
    names = scopes(installation)

    def tell(scope_id: UUID, done: rotation.Rotated) -> None:
        words = ngettext("%(num)s value so far", "%(num)s values so far", done.values)
        click.echo(f"{names[scope_id]}: {words}")

    done = rotation.rotate(installation, chosen, batch=batch, report=tell)
    for where in done.broken:
        click.echo(gettext(N_("cannot be read, left as it is: %(where)s"), where=where), err=True)
    click.echo(
        gettext(
            N_("%(values)s values sealed anew, longest batch %(longest)s s."),
            values=done.values,
            longest=f"{done.longest_batch_s:.2f}",
        )
    )
    sys.exit(1 if done.broken else 0)


@keys_commands.command("rewrap")
@click.option("--new-key", is_flag=True, help="Make a new wrapping key first.")
@_running
def rewrap(installation: Installation, new_key: bool) -> None:
    """Wrap every key under the newest wrapping key. Values stay as they are."""
    provider = installation.keyring.provider
    if new_key:
        provider.add_version()
    count = installation.keyring.rewrap()
    click.echo(ngettext("%(num)s key wrapped anew.", "%(num)s keys wrapped anew.", count))


@keys_commands.command("destroy")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0),
    default=35,
    show_default=True,
    help="Days since the key was retired; longer than backups are kept.",
)
@click.confirmation_option(prompt="Backups and log images from before become unreadable. Go on?")
@_running
def destroy(installation: Installation, days: int) -> None:
    """Destroy retired keys for ever, in backups too: the wrapping key is renewed as well."""
    count, kept = shredding.destroy_older(installation, days)
    click.echo(ngettext("%(num)s key destroyed.", "%(num)s keys destroyed.", count))
    if kept:
        click.echo(ngettext("%(num)s key is in use.", "%(num)s keys are in use.", kept), err=True)
        sys.exit(1)


@keys_commands.command("recover")
@_running
def recover(installation: Installation) -> None:
    """Put the keys that live in the place of those that a restored backup brought back."""
    _tell_recovered(shredding.recover(installation))


def _tell_recovered(found: shredding.Recovered) -> None:
    click.echo(
        gettext(
            N_("Keys of the backup: %(kept)s kept, %(back)s put back, %(gone)s gone for ever."),
            kept=found.kept,
            back=found.put_back,
            gone=found.shredded,
        )
    )


# --- personal data ------------------------------------------------------------------------------


@privacy_commands.command("lint")
@_running
def lint(installation: Installation) -> None:
    """List personal columns without a declared purpose; exit 1 when there is one."""
    findings = purposes.undeclared_personal(installation.plugins)
    for finding in findings:
        click.echo(str(finding))
    sys.exit(1 if findings else 0)


@privacy_commands.command("notice")
@click.option("--community", help="Only the plugins that are on there.")
@_running
def notice(installation: Installation, community: str | None) -> None:
    """Print what is kept of people, why, on what basis and how long."""
    enabled = None
    if community:
        place = scope_named(installation, community)
        with installation.scope(ACTOR, community=place) as scope:
            enabled = scope.enabled
    for entry in purposes.notice(installation.plugins, enabled):
        click.echo(
            f"{entry.what} ({entry.plugin}): {entry.purpose}; {entry.basis}; {entry.retention}"
        )


@privacy_commands.command("export")
@COMMUNITY
@click.argument("person")
@click.argument("file", type=click.Path(path_type=Path))
@_running
def export(installation: Installation, community: str, person: str, file: Path) -> None:
    """Write everything that is kept about a person (id) into a ZIP file."""
    with installation.scope(ACTOR, community=scope_named(installation, community)) as scope:
        file.write_bytes(subjects.export_archive(scope, scope.get(Person, person)))
    click.echo(str(file))


@privacy_commands.command("erase")
@COMMUNITY
@click.argument("person", type=click.UUID)
@click.option("--reason", required=True, help="Why; it stands in the log.")
@click.option("--backups", is_flag=True, help="Make older backups of the community unreadable.")
@click.confirmation_option(prompt="This cannot be undone. Erase the person?")
@_running
def erase(
    installation: Installation, community: str, person: UUID, reason: str, backups: bool
) -> None:
    """Erase a person (id) from tables, archives, files, the log's images and logins.

    --backups: whatever older backups hold sealed of this community, of everybody, becomes
    unreadable for ever; take a new backup after.
    """
    place = scope_named(installation, community)
    entry = erasure.erase_person(installation, ACTOR, place, person, reason)
    _tell_counts(entry.emptied)
    for column, period in entry.kept.items():
        click.echo(
            gettext(N_("kept by law: %(column)s (%(period)s)"), column=column, period=period)
        )
    if backups:
        done = shredding.shred_scope(installation, place)
        click.echo(gettext(N_("Older backups of this community are shredded: make a new one now.")))
        sys.exit(1 if done.broken else 0)


@privacy_commands.command("retention")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="As if it were this day.")
@click.option("--community", type=click.UUID, help="Only this one.")
@_running
def let_go(installation: Installation, dry_run: bool, today: Any, community: UUID | None) -> None:
    """Empty what has outlived its declared period; the worker does it every night."""
    day: date | None = today.date() if today else None
    work = retention.overdue if dry_run else retention.let_go
    _tell_counts(work(installation, day, community=community))


def _tell_counts(counts: dict[str, int]) -> None:
    for column, count in sorted(counts.items()):
        click.echo(f"{column}: {count}")
    if not counts:
        click.echo(gettext(N_("Nothing was to be emptied.")))


@privacy_commands.command("replay")
@_running
def replay(installation: Installation) -> None:
    """Erase again whom a restored backup brought back; run it after every restore."""
    _tell_recovered(shredding.recover(installation))
    done = erasure.replay(installation, ACTOR)
    click.echo(ngettext("%(num)s person erased again.", "%(num)s persons erased again.", len(done)))


@privacy_commands.command("alarms")
@click.option("--days", default=7, show_default=True)
@_running
def alarms(installation: Installation, days: int) -> None:
    """Show who looked at so many personal values that somebody should ask why."""
    for look in reveals.alarms(installation, days):
        at = look.at.isoformat(timespec="seconds")
        click.echo(f"{at}  {look.user_id}  {look.table}.{look.field}  {look.reason.value}")
