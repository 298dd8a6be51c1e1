"""The log is verified from outside: at the command line, and by a program of its own."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

import dougong.audit
from dougong.audit.checkpoints import (
    merkle_root,
)
from dougong.audit.commands import audit_commands
from dougong.db import uuid7

pytestmark = pytest.mark.usefixtures("own_witness")


def test_the_command_line_verifies_and_says_where_the_first_fault_is(
    installation, sealed, test_server, tmp_path
):
    run, community = CliRunner(), str(sealed.community_id)
    good = run.invoke(audit_commands, ["verify", "--community", community], obj=installation)
    assert good.exit_code == 0, good.output
    with psycopg.connect(test_server.dsn()) as link:
        link.execute(
            "delete from dougong.audit_link where chain_id = %s and seq = 4", [sealed.community_id]
        )
    bad = run.invoke(audit_commands, ["verify", "--community", community], obj=installation)
    assert bad.exit_code == 1 and f"deleted chain={community} seq=5" in bad.output
    missing = str(tmp_path / "none.jsonl")
    unusable = run.invoke(audit_commands, ["verify", "--against", missing], obj=installation)
    assert unusable.exit_code == 2


def test_the_independent_verifier_agrees(installation, sealed, tmp_path):
    program = Path(dougong.audit.__file__).with_name("independent_verifier.py")
    assert len(program.read_text().splitlines()) <= 200
    assert "dougong." not in "".join(
        line for line in program.read_text().splitlines() if "import" in line
    )
    community = str(sealed.community_id)
    done = CliRunner().invoke(audit_commands, ["dump", "--community", community], obj=installation)
    dump = tmp_path / "dump.ndjson"
    witness = installation.settings.paths.witness
    files = [str(dump), str(witness / "checkpoints.jsonl"), str(witness / "checkpoint.pub")]

    def run(content):
        dump.write_text(content)
        return subprocess.run(
            [sys.executable, "-I", str(program), *files], capture_output=True, text=True
        )

    assert run(done.output).returncode == 0, run(done.output).stdout
    lines = done.output.splitlines(keepends=True)
    changed = "".join(lines).replace("业主1", "业主2")
    cut, without, swapped = lines[:-1], lines[:2] + lines[3:], [lines[1], lines[0], *lines[2:]]
    for content in (changed, "".join(cut), "".join(without), "".join(swapped)):
        assert run(content).returncode == 1
    assert run("no json").returncode == 2


def test_the_merkle_root_depends_on_every_head():
    heads = {uuid7(): (n, bytes([n]) * 32) for n in range(1, 8)}
    roots = {merkle_root(heads)}
    for chain, (seq, hash) in heads.items():
        roots.add(merkle_root({**heads, chain: (seq + 1, hash)}))
        roots.add(merkle_root({c: h for c, h in heads.items() if c != chain}))
    assert len(roots) == 15
