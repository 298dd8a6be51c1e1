"""Deployment settings, read once from the environment.

Run-time settings (per platform, group, community) are rows; see ``Scope.setting``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dougong.paths import Paths


@dataclass(frozen=True)
class Settings:
    """What an operator decides when he starts Dougong.

    database: host, port and name as libpq keywords ("host=… port=… dbname=…") of a server with
    the roles that ``dougong migrate`` makes; None means the embedded PostgreSQL in ``paths.home``.
    role_passwords: password of each login role; None reads ``keys/database.json``.
    url: how people reach this installation, for links and cookies. mqtt_url: the broker of devices
    that push (``mqtt://user:password@host:port``).
    plugin_index: where packages of plugins come from, a folder or an https address.
    webhook_networks: private networks that webhooks may lead to (``10.1.0.0/16``); else none.
    trial_port: where partners of a demonstration (payment gateways) are played on this machine;
    1000 above ``port`` unless told otherwise. None plays none; production never does.
    """

    paths: Paths
    database: str | None = None
    url: str = "http://127.0.0.1:8080"
    port: int = 8080
    host: str = "127.0.0.1"
    production: bool = False
    smtp_url: str | None = None
    mail_from: str = "dougong@localhost"
    mqtt_url: str | None = None
    plugin_paths: tuple[Path, ...] = ()
    disabled_plugins: frozenset[str] = field(default_factory=frozenset)
    webhook_networks: tuple[str, ...] = ()
    plugin_index: str | None = None
    trial_port: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of ``environment`` (the process's own by default)."""
        env = os.environ if environment is None else environment
        keys = env.get("DOUGONG_KEYS")
        port = int(env.get("DOUGONG_PORT", "8080"))
        host = env.get("DOUGONG_HOST", "127.0.0.1")
        production = env.get("DOUGONG_PRODUCTION", "") == "1"
        return cls(
            paths=Paths(
                Path(env.get("DOUGONG_HOME", "var")).absolute(),
                Path(keys).absolute() if keys else None,
            ),
            database=env.get("DOUGONG_DATABASE") or None,
            url=env.get("DOUGONG_URL", f"http://{host}:{port}").rstrip("/"),
            port=port,
            host=host,
            production=production,
            smtp_url=env.get("DOUGONG_SMTP_URL") or None,
            mail_from=env.get("DOUGONG_MAIL_FROM", "dougong@localhost"),
            mqtt_url=env.get("DOUGONG_MQTT_URL") or None,
            plugin_paths=tuple(
                Path(p).absolute()
                for p in env.get("DOUGONG_PLUGIN_PATH", "").split(os.pathsep)
                if p
            ),
            disabled_plugins=frozenset(
                p for p in env.get("DOUGONG_DISABLED_PLUGINS", "").split(",") if p
            ),
            plugin_index=env.get("DOUGONG_PLUGIN_INDEX") or None,
            webhook_networks=tuple(
                n.strip() for n in env.get("DOUGONG_WEBHOOK_NETWORKS", "").split(",") if n.strip()
            ),
            trial_port=None if production else int(env.get("DOUGONG_TRIAL_PORT", port + 1000)),
        )

    @property
    def trial_host(self) -> str | None:
        """Return host and port of the partners that are played here, None in production."""
        is_played = self.trial_port is not None and not self.production
        return f"127.0.0.1:{self.trial_port}" if is_played else None

    @property
    def is_secure(self) -> bool:
        return self.url.startswith("https://")
