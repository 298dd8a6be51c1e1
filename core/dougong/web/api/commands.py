"""`dougong token …`: bearer tokens of the API from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import click
from sqlalchemy import select

from dougong.access.actors import resolve_actor
from dougong.access.models import User
from dougong.access.tokens import issue_token, revoke_token, tokens_of
from dougong.db.scope import Actor
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, translate_error
from dougong.installation import Installation


@click.group("token")
def token() -> None:
    """Issue, list and revoke bearer tokens of programs."""


@token.command("issue")
@click.argument("login")
@click.option("--name", required=True, help="What the program is called.")
@click.option("--permission", "permissions", multiple=True, required=True, help="meters.*")
@click.option("--community", "communities", multiple=True, type=click.UUID, help="Only there.")
@click.option("--days", default=90, show_default=True, help="How long it works.")
def issue(
    login: str,
    name: str,
    permissions: tuple[str, ...],
    communities: tuple[UUID, ...],
    days: int,
) -> None:
    """Print a new token that acts for LOGIN with a part of its permissions."""
    with opened(login) as (installation, actor):
        secret, row = issue_token(
            installation,
            actor,
            name,
            permissions,
            communities=communities or None,
            lifetime=timedelta(days=days),
        )
        click.echo(secret)
        click.echo(f"{row.id} {row.ends_at:%Y-%m-%d}", err=True)


@token.command("list")
@click.argument("login")
def list_tokens(login: str) -> None:
    """List the tokens of LOGIN that still work."""
    with opened(login) as (installation, actor):
        for row in tokens_of(installation, actor.user_id or UUID(int=0)):
            click.echo(f"{row.id}  {row.ends_at:%Y-%m-%d}  {row.name}  {' '.join(row.permissions)}")


@token.command("revoke")
@click.argument("login")
@click.argument("token_id", type=click.UUID)
def revoke(login: str, token_id: UUID) -> None:
    """End a token of LOGIN at once."""
    with opened(login) as (installation, actor):
        revoke_token(installation, actor, token_id)


@contextmanager
def opened(login: str) -> Iterator[tuple[Installation, Actor]]:
    """Open the installation and find the login; errors are told in words."""
    installation = Installation.open(load=False)
    try:
        with installation.access() as session:
            found = session.scalars(
                select(User.id).where(User.login == login.strip().lower())
            ).first()
        actor = resolve_actor(installation, found) if found else None
        if actor is None:
            raise NotFound(N_("There is no login %(login)s."), login=login)
        yield installation, actor
    except DougongError as error:
        fields = "".join(f"\n{name}: {text}" for name, text in getattr(error, "fields", {}).items())
        raise click.ClickException(translate_error(error) + fields) from error
    finally:
        installation.close()
