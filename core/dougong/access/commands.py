"""`dougong user …`: logins from the command line, for first steps and emergencies."""

import click
from sqlalchemy import select

from dougong.access.factors import forget_factors
from dougong.access.models import User
from dougong.access.operations import create_user, one_time_link
from dougong.errors import DougongError
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation


@click.group("user")
def user() -> None:
    """Create logins and links that sign in once."""


@user.command("create")
@click.argument("login")
@click.option("--name", required=True, help="What people call the user.")
def create(login: str, name: str) -> None:
    """Create a login without a password and print its first link.

    It holds no role yet; a security administrator gives it one.
    """
    installation = Installation.open()
    try:
        with installation.access() as session:
            made = create_user(session, login, name).id
        click.echo(one_time_link(installation, made, is_console=True))
    except DougongError as error:
        raise click.ClickException(translate_error(error)) from error
    finally:
        installation.close()


@user.command("link")
@click.argument("login")
def link(login: str) -> None:
    """Print a link that signs LOGIN in once, within half an hour."""
    installation = Installation.open(load=False)
    try:
        with installation.access() as session:
            found = session.scalars(
                select(User.id).where(User.login == login.strip().lower(), User.is_active)
            ).first()
        if found is None:
            raise click.ClickException(gettext(N_("There is no login %(login)s."), login=login))
        click.echo(one_time_link(installation, found, is_console=True))
    finally:
        installation.close()


@user.command("forget-factor")
@click.argument("login")
def forget_factor(login: str) -> None:
    """Take app codes, passkeys and recovery codes from LOGIN, who has lost them, and end its
    sessions. The next link or password signs it in; its roles may make it set up new ones."""
    installation = Installation.open(load=False)
    try:
        forget_factors(installation, login)
    except DougongError as error:
        raise click.ClickException(translate_error(error)) from error
    finally:
        installation.close()
