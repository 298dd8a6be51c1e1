"""Where an installation keeps its files.

One folder holds everything that is not in the database: ``DOUGONG_HOME``, by default ``var`` in
the working directory. Keys live in ``keys`` and may be moved to another disk with
``DOUGONG_KEYS``: they must not travel with a backup of the data they open.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The folders of one installation; each is made when it is asked for."""

    home: Path
    keys_override: Path | None = None

    def _folder(self, path: Path, mode: int = 0o750) -> Path:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
        return path

    @property
    def keys(self) -> Path:
        return self._folder(self.keys_override or self.home / "keys", 0o700)

    @property
    def files(self) -> Path:
        return self._folder(self.home / "files")

    @property
    def cache(self) -> Path:
        return self._folder(self.home / "cache")

    @property
    def run(self) -> Path:
        return self._folder(self.home / "run")

    @property
    def log(self) -> Path:
        return self._folder(self.home / "log")

    @property
    def plugins(self) -> Path:
        return self._folder(self.home / "plugins")

    @property
    def witness(self) -> Path:
        return self._folder(self.home / "witness")
