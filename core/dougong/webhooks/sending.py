"""Sends signed requests: several at once, each with a deadline, never where it must not go."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from dougong.later import Later
from dougong.webhooks.addresses import Refused, resolve
from dougong.webhooks.signing import sign

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")


DEADLINE_S = 10.0
CONNECT_S = 5.0
AT_ONCE = 8


@dataclass(frozen=True)
class Parcel:
    """One request, ready to be sent. body: JSON."""

    delivery_id: UUID
    event: str
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of a parcel. status: the receiver's, None when there was no answer."""

    delivery_id: UUID
    status: int | None
    error: str | None

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def send_all(parcels: Sequence[Parcel], networks: Sequence[str]) -> list[Outcome]:
    """Send every parcel and return what became of each; never raises for a receiver's fault."""
    return asyncio.run(_send_all(parcels, networks)) if parcels else []


async def _send_all(parcels: Sequence[Parcel], networks: Sequence[str]) -> list[Outcome]:
    turn = asyncio.Semaphore(AT_ONCE)
    timeout = httpx.Timeout(CONNECT_S)
    async with httpx.AsyncClient(trust_env=False, timeout=timeout, http2=False) as client:

        async def send(parcel: Parcel) -> Outcome:
            async with turn:
                return await _send(client, parcel, networks)

        return list(await asyncio.gather(*map(send, parcels)))


async def _send(client: "httpx.AsyncClient", parcel: Parcel, networks: Sequence[str]) -> Outcome:
    try:
        async with asyncio.timeout(DEADLINE_S):
            status = await _post(client, parcel, networks)
    except Refused as error:
        return Outcome(parcel.delivery_id, None, str(error)[:300])
    except (TimeoutError, httpx.TimeoutException):
        return Outcome(parcel.delivery_id, None, f"no answer within {DEADLINE_S:.0f} s")
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Outcome(parcel.delivery_id, None, f"{type(error).__name__}: {error}"[:300])
    error_text = None if 200 <= status < 300 else f"HTTP {status}"
    return Outcome(parcel.delivery_id, status, error_text)


async def _post(client: "httpx.AsyncClient", parcel: Parcel, networks: Sequence[str]) -> int:
    """Return the status; the answer's body is not read."""
    target, _address = await resolve(parcel.url, networks)
    parts = urlsplit(parcel.url)
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "Dougong-Webhook/1",
        "Dougong-Event": parcel.event,
        "Dougong-Delivery": str(parcel.delivery_id),
        "Dougong-Signature": sign(parcel.secret, parcel.body, int(time.time())),
    }
    async with client.stream(
        "POST",
        target,
        content=parcel.body,
        headers=headers,
        extensions={"sni_hostname": parts.hostname},
    ) as response:
        return response.status_code
