"""Calls from plugins to the outside world, to the hosts that their manifest declares.

``capabilities = ["net:api.example.com"]`` in the manifest, and in the code::

    from dougong.plugins.outbound import Outbound

    weather = Outbound("lifts")
    answer = weather.get(scope, "https://api.example.com/v1/today")

Every address behind the name is looked up once and must be a public one (or in a network that the
operator allows), the connection goes to the checked address, and redirects are not followed. The
partners that a demonstration plays on this machine (`Settings.trial_host`) are called as well.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dougong.errors import DeviceError, Invalid, NotAllowed
from dougong.i18n import N_
from dougong.later import Later
from dougong.webhooks.addresses import Refused, check_url, resolve

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")


if TYPE_CHECKING:
    from dougong.db.scope import Scope

DEADLINE_S = 10.0
MOST_BYTES = 5_000_000
TRIAL_NETWORKS = ("127.0.0.0/8",)


class OutsideUnreachable(DeviceError):
    """The other side did not answer as it should; ``reason`` says how."""

    code = "outside_unreachable"


@dataclass(frozen=True)
class Answer:
    """What the other side answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """A plugin's client for the hosts in its manifest."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin

    def get(self, scope: "Scope", url: str, **options: Any) -> Answer:
        """Read an address; see `request`."""
        return self.request(scope, "GET", url, **options)

    def request(
        self,
        scope: "Scope",
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Answer:
        """Send a request and return the answer, at most 5 MB of it, within the deadline.

        Raises NotAllowed for a host that the manifest does not declare, Invalid for an address
        that is none, and OutsideUnreachable when there is no answer. Any status is an answer.
        """
        settings = scope.installation.settings
        networks = settings.webhook_networks
        if settings.trial_host is not None and urlsplit(url).netloc == settings.trial_host:
            networks = TRIAL_NETWORKS
        check_url(url, networks)
        host = urlsplit(url).hostname or ""
        if not any(fnmatch(host, pattern) for pattern in self.hosts(scope)):
            raise NotAllowed(
                N_("%(plugin)s does not declare that it calls %(host)s."),
                plugin=self.plugin,
                host=host,
            )
        outgoing = httpx.Request(method, url, headers=headers, content=content)
        return asyncio.run(_send(outgoing, networks, deadline_s))

    def hosts(self, scope: "Scope") -> list[str]:
        """Return the hosts that the plugin declares, such as ``api.example.com``, ``*.cn``."""
        declared = scope.installation.plugins.manifest(self.plugin).capabilities
        return [c.partition(":")[2] for c in declared if c.startswith("net:")]


async def _send(outgoing: "httpx.Request", networks: tuple[str, ...], deadline_s: float) -> Answer:
    try:
        async with asyncio.timeout(deadline_s):
            return await _exchange(outgoing, networks)
    except Refused as error:
        raise NotAllowed(N_("This address is not called: %(reason)s"), reason=str(error)) from error
    except (OSError, TimeoutError, httpx.HTTPError) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise OutsideUnreachable(
            N_("%(host)s does not answer: %(reason)s"), host=outgoing.url.host, reason=reason
        ) from error


async def _exchange(outgoing: "httpx.Request", networks: tuple[str, ...]) -> Answer:
    target, _address = await resolve(str(outgoing.url), networks)
    outgoing.extensions["sni_hostname"] = outgoing.url.host
    outgoing.url = httpx.URL(target)
    async with httpx.AsyncClient(trust_env=False, timeout=None, http2=False) as client:
        response = await client.send(outgoing, stream=True, follow_redirects=False)
        try:
            body = await _body(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, dict(response.headers), body)


async def _body(response: "httpx.Response") -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            raise Invalid(N_("The answer is too large."))
    return bytes(body)
