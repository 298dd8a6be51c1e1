"""Plants plugins in a folder, sound or broken on purpose, to prove what the kernel does with them.

The tests, `dougong.plugins.gate` and the benchmarks use real plugins on disk: files that are found,
imported, migrated and called like a vendor's.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.servers import create_database
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins.scaffold import scaffold
from dougong.settings import Settings

_numbers = count(1)
Changes = Mapping[str, str]


def plant(
    folder: Path,
    plugin: str,
    changes: Changes | None = None,
    replace: Mapping[str, tuple[str, str]] | None = None,
) -> Path:
    """Write the sample plugin as ``folder/<plugin>``, with some files changed; return its package.

    changes: file within the package → new content. replace: file → (old text, new text).
    Raises ValueError when the old text is not in the file.
    """
    scaffold(plugin, folder)
    package = folder / plugin / f"dougong_{plugin}"
    for name, content in (changes or {}).items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    for name, (old, new) in (replace or {}).items():
        path = package / name
        before = path.read_text("utf-8")
        if old not in before:
            raise ValueError(f"{old!r} is not in {path}")
        path.write_text(before.replace(old, new), "utf-8")
    return package


def plant_small(folder: Path, plugin: str, depends: str = "", **files: str) -> Path:
    """Write a plugin without tables; ``files`` are its modules by name, such as ``hooks``."""
    package = folder / plugin / f"dougong_{plugin}"
    package.mkdir(parents=True)
    title = f'name = {{ en = "{plugin}", zh_Hans_CN = "{plugin}" }}'
    needs = f'depends = ["{depends}"]' if depends else ""
    package.joinpath("manifest.toml").write_text(
        f'[plugin]\nid = "{plugin}"\nversion = "0.1.0"\nkernel = ">=0.1,<1"\n{title}\n{needs}\n',
        "utf-8",
    )
    for name, content in {"__init__": "", **files}.items():
        package.joinpath(f"{name}.py").write_text(content, "utf-8")
    return package


@contextmanager
def workshop(
    server: EmbeddedPostgres, *folders: Path, template: str | None = None, **settings: Any
) -> Iterator[Installation]:
    """Yield an installation on a database of its own, where nothing but the kernel is installed.

    server: a throw-away server. folders: plugin directories. template: a database to copy, made
    by `kernel_template`, which saves migrating the kernel again.
    """
    name = f"workshop_{os.getpid()}_{next(_numbers)}"
    made = Settings(
        paths=Paths(server.home),
        database=f"host={server.socket} dbname={name}",
        plugin_paths=folders,
        **settings,
    )
    if template is not None:
        with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
            link.execute(f"create database {name} template {template} owner dougong_owner")
    create_database(server.dsn(database="postgres"), server.passwords(), name)
    installation = Installation.open(made)
    try:
        if template is None:
            installation.migrate()
        yield installation
    finally:
        for plugin in reversed(list(installation.plugins.loaded)):
            installation.plugins.unload(plugin)
        installation.close()


def kernel_template(server: EmbeddedPostgres, name: str = "kernel_template") -> str:
    """Make a database with nothing but the kernel's schema, to be copied; return its name.

    One that is there already stays as it is.
    """
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
        known = "select 1 from pg_database where datname = %s"
        if link.execute(known, [name]).fetchone():
            return name
    create_database(server.dsn(database="postgres"), server.passwords(), name)
    settings = Settings(paths=Paths(server.home), database=f"host={server.socket} dbname={name}")
    installation = Installation.open(settings, load=False)
    installation.migrate()
    installation.close()
    return name


def rows(
    installation: Installation, query: str, /, role: str = "platform", **values: Any
) -> list[Any]:
    """Return what a database role reads with ``query``."""
    with installation.databases.engine(role).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]
