"""`dougong audit …`: verify, dump, seal and sign from the command line."""

import base64
import sys
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dougong.audit.checkpoints import read_witness, signing_key, witness_files, write_checkpoint
from dougong.audit.dumps import dump_lines, read_dump
from dougong.audit.sealing import seal_once
from dougong.audit.verification import Report, read_witnessed, snapshot, verify, verify_entries
from dougong.errors import DougongError
from dougong.i18n import N_, gettext, ngettext, translate_error
from dougong.installation import Installation

FOUND, UNUSABLE = 1, 2
audit_commands = click.Group("audit", help="Seal and verify the audit log.")


def _running(command: Any) -> Any:
    """Give a command the installation; whatever keeps it from its work exits with 2."""

    @wraps(command)
    @click.pass_context
    def run(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        given = context.find_object(Installation)
        installation = given
        try:
            installation = given or Installation.open(load=False)
            return command(installation, *args, **kwargs)
        except (OSError, ValueError, SQLAlchemyError) as error:
            click.echo(gettext(N_("Cannot verify: %(reason)s"), reason=str(error)), err=True)
            sys.exit(UNUSABLE)
        except DougongError as error:
            click.echo(translate_error(error), err=True)
            sys.exit(UNUSABLE)
        finally:
            if given is None and installation is not None:
                installation.close()

    return run


@audit_commands.command("verify")
@click.option("--community", help="Name or id of one community (or id of a group).")
@click.option("--since-checkpoint", is_flag=True, help="Only what came after the newest one.")
@click.option("--against", type=click.Path(path_type=Path), help="Witness file, of elsewhere.")
@click.option("--key", type=click.Path(path_type=Path), help="The witness's copy of the key.")
@click.option("--offline", type=click.Path(path_type=Path), help="A dump instead of the database.")
@_running
def verify_log(
    installation: Installation,
    community: str | None,
    since_checkpoint: bool,
    against: Path | None,
    key: Path | None,
    offline: Path | None,
) -> None:
    """Prove the log against a witness: exit 0 all well, 1 faults found, 2 not possible."""
    paths = installation.settings.paths
    lines = read_witness(against or witness_files(paths)[0])
    public = base64.b64decode(key.read_text()) if key else signing_key(paths).public
    only = _chain(installation, community) if community else None
    if offline:
        entries = (e for e in read_dump(offline) if only in (None, e.chain_id))
        report = verify_entries(entries, read_witnessed(lines, public), only=only)
        report.checkpoints, report.newest_checkpoint = len(lines), lines[-1]["at"] if lines else ""
    else:
        with snapshot(installation) as connection:
            report = verify(connection, lines, public, only=only, since_checkpoint=since_checkpoint)
    _tell(report)


def _tell(report: Report) -> None:
    for finding in report.findings:
        click.echo(str(finding))
    click.echo(
        gettext(
            N_("%(entries)s entries in %(chains)s chains, %(checkpoints)s checkpoints to %(at)s."),
            entries=report.entries,
            chains=report.chains,
            checkpoints=report.checkpoints,
            at=report.newest_checkpoint or "-",
        )
    )
    if report.first is not None:
        click.echo(gettext(N_("The first fault: %(fault)s"), fault=str(report.first)))
        sys.exit(FOUND)
    if not report.checkpoints:
        click.echo(gettext(N_("No witness was there: a cut or rewritten chain would not show.")))


def _chain(installation: Installation, name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        with installation.access() as session:
            found = session.scalars(
                text("select id from dougong.community where name = :name"), {"name": name}
            ).all()
    if len(found) != 1:
        raise ValueError(gettext(N_("There is no single community named %(name)s."), name=name))
    return found[0]


@audit_commands.command("dump")
@click.option("--community", help="Name or id of one community (or id of a group).")
@_running
def dump(installation: Installation, community: str | None) -> None:
    """Write the log as lines of JSON, for the independent verifier."""
    only = _chain(installation, community) if community else None
    with installation.databases.engine("platform").connect() as connection:
        for line in dump_lines(connection, only):
            click.echo(line)


@audit_commands.command("seal")
@_running
def seal(installation: Installation) -> None:
    """Link what waits and sign a checkpoint now; the worker does it all the time."""
    count = seal_once(installation)
    line = write_checkpoint(installation)
    click.echo(ngettext("%(num)s event sealed.", "%(num)s events sealed.", count))
    if line is not None:
        click.echo(gettext(N_("Checkpoint %(number)s is signed."), number=line["number"]))
