"""Checks of what goes on: plugins, keys, workers, jobs, facts, the audit log, mail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from dougong.audit.checkpoints import witness_files
from dougong.devices.certificates import WARN_BEFORE
from dougong.errors import DougongError
from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext, translate_error
from dougong.limits import JOB_S
from dougong.plugins import PluginState, operations
from dougong.tenancy.operations import PLATFORM

if TYPE_CHECKING:
    from dougong.installation import Installation

HEARTBEAT_S, WAITING_S, SEALED_WITHIN_S, SILENT_S = 30, 900, 120, 300
CHECKPOINT_WITHIN = timedelta(minutes=5)
MOST_FAILED = 10
# A line names the chains that moved: enough for the last one of some ten thousand.
LAST_LINES = 4 * 1024 * 1024


def plugins(installation: "Installation") -> Iterator[HealthFinding]:
    """Every installed plugin works; nothing waits to be put right."""
    known = installation.plugins
    for plugin in sorted({*known.errors, *known.standings}):
        standing = known.standing(plugin)
        if standing.state in (PluginState.INSTALLED, PluginState.ARCHIVED, PluginState.AVAILABLE):
            continue
        yield HealthFinding(
            gettext(N_("Plugin %(plugin)s"), plugin=plugin),
            False,
            f"{standing.state.value}: {standing.reason}"[:300],
            gettext(N_("See `dougong plugin repairs`.")),
        )
    waiting = operations.repairs(installation)
    yield HealthFinding(
        gettext(N_("Plugins")),
        not waiting,
        "; ".join(f"{i.plugin} · {i.point}: {i.reason}" for i in waiting[:3])[:300]
        or ", ".join(known.installed),
        gettext(N_("See `dougong plugin repairs`.")),
    )


def keyring(installation: "Installation") -> Iterator[HealthFinding]:
    """What wraps the data keys answers and opens the platform's key."""
    detail, is_well = "", True
    try:
        installation.keyring.current(PLATFORM)
        detail = installation.keyring.provider.name
    except (DougongError, LookupError, OSError) as error:
        is_well = False
        detail = translate_error(error) if isinstance(error, DougongError) else str(error)
    yield HealthFinding(
        gettext(N_("Data keys")),
        is_well,
        detail,
        gettext(N_("Without its key provider nothing personal can be read: restore it first.")),
    )


def workers(installation: "Installation") -> Iterator[HealthFinding]:
    """A worker lives."""
    with installation.platform() as session:
        alive = session.execute(
            text(
                "select count(*) from dougong.procrastinate_workers"
                " where last_heartbeat > now() - make_interval(secs => :s)"
            ),
            {"s": HEARTBEAT_S},
        ).scalar_one()
    yield HealthFinding(
        gettext(N_("Workers")),
        alive > 0,
        str(alive),
        gettext(N_("No worker runs: jobs, messages and the audit sealer stand still. `make up`.")),
    )


def jobs(installation: "Installation") -> Iterator[HealthFinding]:
    """Jobs start soon, end some time, and do not fail."""
    with installation.platform() as session:
        late, long, failed = session.execute(
            text(
                "select count(*) filter (where state = 'waiting'"
                "  and asked_at < now() - make_interval(secs => :s)),"
                " count(*) filter (where state = 'running'"
                "  and started_at < now() - make_interval(secs => :most)),"
                " count(*) filter (where state = 'failed' and ended_at > now() - interval '1 day')"
                " from dougong.job where state in ('waiting', 'running', 'failed')"
            ),
            {"s": WAITING_S, "most": JOB_S},
        ).one()
    yield HealthFinding(
        gettext(N_("Jobs start soon")),
        late == 0,
        gettext(N_("%(count)s wait for more than a quarter of an hour"), count=late),
        gettext(N_("Look at the jobs page for what holds them up; run more workers.")),
    )
    yield HealthFinding(
        gettext(N_("Jobs end")),
        long == 0,
        gettext(N_("%(count)s run for more than an hour"), count=long),
        gettext(
            N_("Cancel them on the jobs page, or start the worker anew: `dougong down`, `up`.")
        ),
    )
    yield HealthFinding(
        gettext(N_("Jobs succeed")),
        failed == 0,
        gettext(N_("%(count)s failed within a day"), count=failed),
        gettext(N_("The jobs page says why; run them again when the cause is gone.")),
        is_urgent=failed > MOST_FAILED,
    )


def events(installation: "Installation") -> Iterator[HealthFinding]:
    """Facts reach the plugins that subscribe to them."""
    with installation.platform() as session:
        stuck = session.execute(
            text(
                "select plugin, count(*) from dougong.event_delivery where state = 'failed'"
                " or (state = 'waiting' and due_at < now() - make_interval(secs => :s))"
                " group by plugin order by plugin"
            ),
            {"s": WAITING_S},
        ).all()
    yield HealthFinding(
        gettext(N_("Facts are delivered")),
        not stuck,
        ", ".join(f"{plugin}: {count}" for plugin, count in stuck),
        gettext(N_("Mend or release the plugin; its facts wait for it.")),
    )


def messages(installation: "Installation") -> Iterator[HealthFinding]:
    """Messages leave in time, and arrive."""
    with installation.platform() as session:
        late, failed, newest = session.execute(
            text(
                "select count(*) filter (where state = 'waiting'"
                "  and due_at < now() - make_interval(secs => :s)),"
                " count(*) filter (where state = 'failed' and due_at > now() - interval '1 day'),"
                " max(detail) filter (where state = 'failed' and due_at > now() - interval '1 day')"
                " from dougong.message_delivery where state in ('waiting', 'failed')"
            ),
            {"s": WAITING_S},
        ).one()
    yield HealthFinding(
        gettext(N_("Messages leave")),
        late == 0,
        gettext(N_("%(count)s wait for more than a quarter of an hour"), count=late),
        gettext(N_("Look at the jobs page for what holds them up; run more workers.")),
    )
    told = gettext(N_("%(count)s failed within a day"), count=failed)
    yield HealthFinding(
        gettext(N_("Messages arrive")),
        failed == 0,
        f"{told} · {newest}"[:300] if failed else told,
        gettext(N_("The page of messages says why; set the channel right and send them again.")),
        is_urgent=failed > MOST_FAILED,
    )


def webhooks(installation: "Installation") -> Iterator[HealthFinding]:
    """Who subscribed to facts takes them; silent where nobody did."""
    with installation.platform() as session:
        total, failing = session.execute(
            text(
                "select count(*), array_agg(name || ' ' || failing_since::date order by name)"
                "  filter (where failing_since is not null)"
                " from dougong.webhook_subscription where is_active"
            )
        ).one()
    if total:
        yield HealthFinding(
            gettext(N_("Webhooks are taken")),
            not failing,
            ", ".join((failing or ())[:5]) or str(total),
            gettext(N_("Ask who runs the receiver; what waits is sent again for some days.")),
            is_urgent=False,
        )


def audit(installation: "Installation") -> Iterator[HealthFinding]:
    """The log is sealed, signed, and a witness has the newest line."""
    with installation.platform() as session:
        lag, newest, number = session.execute(
            text(
                "select coalesce(extract(epoch from now() - min(e.at)), 0)::float8,"
                " (select max(at) from dougong.audit_checkpoint),"
                " (select coalesce(max(number), 0) from dougong.audit_checkpoint)"
                " from dougong.audit_pending p join dougong.audit_event e on e.id = p.id"
            )
        ).one()
    yield HealthFinding(
        gettext(N_("The audit log is sealed")),
        lag < SEALED_WITHIN_S,
        f"{lag:.0f} s",
        gettext(N_("Start the worker, or run `dougong audit seal`.")),
    )
    age = datetime.now(UTC) - newest if newest else None
    yield HealthFinding(
        gettext(N_("Checkpoints are signed")),
        age is not None and age < CHECKPOINT_WITHIN,
        f"{newest:%Y-%m-%d %H:%M}" if newest else "",
        gettext(N_("Start the worker; look whether the witness files can be written.")),
    )
    files = witness_files(installation.settings.paths)
    behind = [f"{path.name}: {number - seen}" for path in files if (seen := _seen(path)) < number]
    yield HealthFinding(
        gettext(N_("Witnesses have every checkpoint")),
        not behind,
        ", ".join(behind) or ", ".join(path.name for path in files),
        gettext(N_("Write there what is missing: copy another witness; `dougong audit verify`.")),
    )
    yield HealthFinding(
        gettext(N_("A witness lies elsewhere")),
        len(files) > 1,
        str(files[0].parent),
        gettext(
            N_("Link a file of another machine as %(path)s."),
            path=str(files[0].parent / "witness-1.jsonl"),
        ),
        is_urgent=installation.settings.production,
    )


def _seen(path: Path) -> int:
    """Return the number of the last checkpoint in a witness file, 0 when it is not readable."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LAST_LINES))
            return int(json.loads(file.read().splitlines()[-1])["number"])
    except (OSError, ValueError, LookupError):
        return 0


def devices(installation: "Installation") -> Iterator[HealthFinding]:
    """Devices and their gateways answer."""
    with installation.platform() as session:
        silent, total, names = session.execute(
            text(
                "select count(*) filter (where not h.is_ok and h.since_at < now()"
                "  - make_interval(secs => :s)), count(*),"
                " (array_agg(d.name order by h.since_at) filter (where not h.is_ok"
                "  and h.since_at < now() - make_interval(secs => :s)))"
                " from dougong.device d join dougong.device_health h"
                " on h.community_id = d.community_id and h.subject_id = d.id where d.is_enabled"
            ),
            {"s": SILENT_S},
        ).one()
    yield HealthFinding(
        gettext(N_("Devices answer")),
        silent == 0,
        f"{total - silent}/{total}" + (f" · {', '.join(names[:5])}" if silent else ""),
        gettext(
            N_("Look at power and line of the gateway; `dougong devices list` says since when.")
        ),
        is_urgent=silent > 0.2 * total,
    )
    yield from _certificates(installation)


def _certificates(installation: "Installation") -> Iterator[HealthFinding]:
    """Certificates of gateways last; silent where no line is encrypted."""
    with installation.platform() as session:
        total, ending = session.execute(
            text(
                "select count(*), array_agg(g.name || ' ' || h.certificate_ends_at::date"
                "  order by h.certificate_ends_at) filter (where h.certificate_ends_at < now()"
                "  + make_interval(days => :days))"
                " from dougong.gateway g join dougong.device_health h"
                " on h.community_id = g.community_id and h.subject_id = g.id"
                " where g.is_enabled and g.trust <> 'none' and h.certificate_ends_at is not null"
            ),
            {"days": WARN_BEFORE.days},
        ).one()
    if total:
        yield HealthFinding(
            gettext(N_("Certificates of gateways last")),
            not ending,
            ", ".join((ending or [])[:5]) or str(total),
            gettext(N_("Renew it at the device and enter the new one at the gateway.")),
        )
