"""`dougong doctor`."""

import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import OperationalError

from dougong.doctor.examining import away, examine
from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext, ngettext
from dougong.installation import Installation

MARKS = {"well": "[green]✔[/]", "warning": "[yellow]⚠[/]", "wrong": "[red]✖[/]"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look for everything that goes wrong in the field; exit 1 when something is.

    Warnings alone exit 0.
    """
    found = _examine(context.find_object(Installation))
    if as_json:
        for finding in found:
            click.echo(json.dumps(_plain(finding), ensure_ascii=False))
    else:
        _show(found)
    if any(finding.level == "wrong" for finding in found):
        sys.exit(1)


def _examine(given: Installation | None) -> list[HealthFinding]:
    installation = given
    try:
        installation = given or Installation.open()
        return examine(installation)
    except OperationalError as error:
        return [away(str(error.orig))]
    finally:
        if given is None and installation is not None:
            installation.close()


def _plain(finding: HealthFinding) -> dict[str, object]:
    return {
        "title": str(finding.title),
        "level": finding.level,
        "is_well": finding.is_well,
        "detail": finding.detail,
        "repair": None if finding.is_well else finding.repair,
    }


def _show(found: Sequence[HealthFinding]) -> None:
    console = Console(highlight=False)
    for finding in found:
        mark = MARKS[finding.level]
        detail = f"  [dim]{escape(finding.detail)}[/]" if finding.detail else ""
        console.print(f"{mark} {escape(str(finding.title))}{detail}", soft_wrap=True)
        if not finding.is_well and finding.repair:
            console.print(f"  → {escape(finding.repair)}", soft_wrap=True)
    bad = sum(not finding.is_well for finding in found)
    if bad:
        console.print(ngettext("%(num)s thing to put right.", "%(num)s things to put right.", bad))
    else:
        console.print(gettext(N_("All is well.")))
