"""`dougong backup` and `dougong restore`."""

import sys
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from dougong.backups import read
from dougong.errors import DougongError
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.settings import Settings


@click.command("backup")
@click.option("--to", type=click.Path(path_type=Path), help="Folder of backups; else in the home.")
@click.option("--with-keys", is_flag=True, help="Put the keys in: whoever has it can read it all.")
@click.pass_context
def backup(context: click.Context, to: Path | None, with_keys: bool) -> None:
    """Save database, files and witnesses while everything runs; not the keys."""
    from dougong.backups.making import make

    given = context.find_object(Installation)
    try:
        installation = given or Installation.open(load=False)
        made = make(installation, to, with_keys=with_keys)
    except (DougongError, OSError, SQLAlchemyError) as error:
        raise click.ClickException(_words(error)) from error
    click.echo(str(made.folder))
    words = gettext(
        N_("%(rows)s rows in %(tables)s tables."),
        rows=sum(made.rows.values()),
        tables=len(made.rows),
    )
    click.echo(words)
    if not with_keys:
        keys = str(installation.settings.paths.keys)
        click.echo(
            gettext(N_("The keys are not in it; keep a copy of %(folder)s elsewhere."), folder=keys)
        )


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--keys", type=click.Path(path_type=Path, exists=True), help="Where the keys are.")
def restore(folder: Path, keys: Path | None) -> None:
    """Put a backup into an empty DOUGONG_HOME and prove rows and audit log."""
    from dougong.backups.restoring import restore as put_back

    try:
        done = put_back(Settings.from_environment(), read(folder), keys)
    except (DougongError, OSError, ValueError, SQLAlchemyError) as error:
        raise click.ClickException(_words(error)) from error
    for table in done.differing:
        click.echo(gettext(N_("%(table)s has another number of rows than before."), table=table))
    for finding in done.log.findings:
        click.echo(str(finding))
    click.echo(
        gettext(
            N_("%(rows)s rows restored; %(entries)s entries of the audit log verified."),
            rows=done.rows,
            entries=done.log.entries,
        )
    )
    if not done.is_well:
        sys.exit(1)
    click.echo(gettext(N_("Start it: `make up`.")))


def _words(error: Exception) -> str:
    return translate_error(error) if isinstance(error, DougongError) else str(error)
