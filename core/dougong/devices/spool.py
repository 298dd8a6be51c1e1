"""A local file that keeps readings while the database is away, so that none is lost.

One line per batch with its checksum, written through to the disk before anybody is told that the
batch is safe. A line that a crash tore is cut off: nobody was told that it was safe.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from dougong.devices.readings import PointKind, Quality, Reading, Value
from dougong.errors import DeviceError
from dougong.i18n import N_

MOST_BYTES = 512 * 1024 * 1024


class SpoolFull(DeviceError):
    """The spool has reached its limit; the caller keeps the readings, or refuses them."""

    code = "spool_full"


class SpoolTaken(DeviceError):
    """Another process of this installation still uses the spool."""

    code = "spool_taken"


class Spool:
    """Batches of readings in a file, first in first out. One process at a time, one thread.

    Raises SpoolTaken while another process has it; the lock goes with that process, however it
    ends.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / "readings.spool"
        self.refused_path = folder / "readings.refused"
        self.most_bytes = most_bytes
        self._read_at = 0
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise SpoolTaken(N_("Another process still runs the devices.")) from error
        _sync_folder(folder)
        self._size = self._whole_lines()
        os.ftruncate(self._file, self._size)

    @property
    def is_empty(self) -> bool:
        return self._read_at >= self._size

    def append(self, readings: Sequence[Reading]) -> None:
        """Keep a batch; when this returns it survives a crash. Raises SpoolFull, OSError."""
        line = _line(readings)
        if self._size + len(line) > self.most_bytes:
            raise SpoolFull(N_("The spool for readings is full."))
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def batches(self) -> Iterator[list[Reading]]:
        """Yield batches in order; asking for the next one says that the last one is stored."""
        while not self.is_empty:
            line = self._line_at(self._read_at)
            yield readings_of(line)
            self._read_at += len(line)
        if self._size:
            os.ftruncate(self._file, 0)
            self._size = self._read_at = 0

    def refuse(self, readings: Sequence[Reading], reason: str) -> None:
        """Put aside a batch that the database will never take, for a person to look at."""
        with self.refused_path.open("ab") as file:
            file.write(b"# " + reason.replace("\n", " ").encode()[:400] + b"\n" + _line(readings))
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    def _line_at(self, at: int) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = os.pread(self._file, 1 << 16, at + len(line))
            end = part.find(b"\n")
            line += part if end < 0 else part[: end + 1]
            if not part:
                break
        return line

    def _whole_lines(self) -> int:
        """Return the length of the part of the file that holds whole, right lines."""
        at, size = 0, os.fstat(self._file).st_size
        while at < size:
            line = self._line_at(at)
            if not _is_whole(line):
                break
            at += len(line)
        return at


def _line(readings: Sequence[Reading]) -> bytes:
    body = json.dumps([_plain(r) for r in readings], separators=(",", ":")).encode()
    return b"%08x " % zlib.crc32(body) + body + b"\n"


def _is_whole(line: bytes) -> bool:
    return line.endswith(b"\n") and line[:8] == b"%08x" % zlib.crc32(line[9:-1])


def _plain(reading: Reading) -> list[Any]:
    return [_told(getattr(reading, f.name)) for f in fields(Reading)]


def _told(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"number": str(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def readings_of(line: bytes) -> list[Reading]:
    """Return the readings in a line of the spool."""
    return [_reading(*row) for row in json.loads(line[9:])]


def _reading(*row: Any) -> Reading:
    values = dict(zip((f.name for f in fields(Reading)), row, strict=True))
    value: Value | None | dict[str, str] = values["value"]
    device_time, subject = values["device_time"], values["subject_id"]
    return Reading(
        **{
            **values,
            "device_id": UUID(values["device_id"]),
            "value": Decimal(value["number"]) if isinstance(value, dict) else value,
            "quality": Quality(values["quality"]),
            "point_kind": PointKind(values["point_kind"]),
            "device_time": datetime.fromisoformat(device_time) if device_time else None,
            "server_time": datetime.fromisoformat(values["server_time"]),
            "subject_id": UUID(subject) if subject else None,
        }
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
