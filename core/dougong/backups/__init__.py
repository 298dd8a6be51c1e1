"""Backups: the database, the files and the log's witnesses in one folder, proved when it is made.

The keys are not in it unless somebody asks: a backup without them opens nothing personal, and keys
without a backup of their own open nothing any more.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dougong.settings import Settings

MANIFEST, DUMP, KEYS = "manifest.json", "database.dump", "keys.tar"
# Parts that are folders of the home, by the name of their archive.
FOLDERS = ("files", "witness", "plugins")


@dataclass(frozen=True)
class Backup:
    """What the manifest of a backup says. rows: by table; hashes: SHA-256 by name of the part."""

    folder: Path
    made_at: datetime
    version: str
    revisions: Mapping[str, str]
    rows: Mapping[str, int]
    hashes: Mapping[str, str]

    def write(self) -> None:
        """Write the manifest: a folder without one is no backup."""
        plain = {**asdict(self), "made_at": self.made_at.isoformat()}
        del plain["folder"]
        temporary = self.folder / f".{MANIFEST}"
        temporary.write_text(json.dumps(plain, indent=1, sort_keys=True))
        temporary.replace(self.folder / MANIFEST)


def home_of(settings: Settings) -> Path:
    """Return the folder of backups."""
    return settings.paths.home / "backups"


def read(folder: Path) -> Backup:
    """Return the backup in ``folder``; raises OSError or ValueError for anything else."""
    plain = json.loads((folder / MANIFEST).read_text())
    plain["made_at"] = datetime.fromisoformat(plain["made_at"])
    return Backup(folder=folder, **plain)


def newest(settings: Settings) -> Backup | None:
    """Return the newest complete backup of an installation, None when there is none."""
    found = sorted(home_of(settings).glob(f"*/{MANIFEST}"), reverse=True)
    for path in found:
        try:
            return read(path.parent)
        except (OSError, ValueError, TypeError):
            continue
    return None


def stamp(at: datetime) -> str:
    """Return the name of a backup made at this instant; later ones sort later."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")


def sha256_of(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(backup: Backup) -> list[str]:
    """Return the parts that are missing or not what they were."""
    return [
        name
        for name, hash in backup.hashes.items()
        if not (backup.folder / name).is_file() or sha256_of(backup.folder / name) != hash
    ]
