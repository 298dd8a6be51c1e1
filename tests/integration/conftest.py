"""What several integration modules need."""

import pytest
from sqlalchemy import text

from dougong.audit.checkpoints import append_line, witness_files, write_checkpoint
from dougong.audit.sealing import seal_once


@pytest.fixture
def own_witness(installation):
    """Leave only this database's lines in the witness; other modules' share the folder."""
    file = witness_files(installation.settings.paths)[0]
    file.unlink(missing_ok=True)
    with installation.platform() as session:
        query = "select line from dougong.audit_checkpoint order by number"
        for line in session.scalars(text(query)):
            append_line(file, line)


@pytest.fixture
def sealed(installation, place):
    """Return a place whose log is sealed and witnessed."""
    seal_once(installation)
    write_checkpoint(installation)
    return place
