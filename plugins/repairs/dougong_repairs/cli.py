"""`dougong repairs …`: judge texts from a file."""

import json
from pathlib import Path
from typing import TextIO

import click

from dougong.i18n import add_catalogues
from dougong_repairs.domain.triage import judge
from dougong_repairs.services.judging import explain_verdict


@click.group("repairs")
def repairs() -> None:
    """Judge what people report."""


@repairs.command("triage")
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
def triage(file: TextIO) -> None:
    """Read one text a line from FILE (- for standard input), print one JSON object a line.

    category, urgency, confidence (0 to 1) and the reason. Needs neither database nor network.
    """
    add_catalogues(Path(__file__).parent / "locale")
    for line in file:
        verdict = judge(line.rstrip("\r\n"))
        told = {
            "category": verdict.category.value,
            "urgency": verdict.urgency.value,
            "confidence": verdict.confidence,
            "reason": explain_verdict(verdict),
        }
        click.echo(json.dumps(told, ensure_ascii=False))
