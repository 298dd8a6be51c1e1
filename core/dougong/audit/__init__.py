"""The audit log: who did what, when, to which row; sealed so that nobody can take it back.

Triggers append events in the business transaction (``db/sql/audit.sql``), the sealer links them
into a chain per community, checkpoints sign where the chains end, witnesses keep the checkpoints.
"""

from dougong.audit.sealing import run, seal_once

__all__ = ["run", "seal_once"]
