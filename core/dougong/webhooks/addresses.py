"""Where a webhook may lead: public addresses only, looked up once and then held on to.

Someone who enters an address must not make our server call itself, the database's network or a
cloud's metadata. So every address behind the name is checked, the connection goes to the checked
one (not to what the name means a moment later), and redirects are never followed.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from dougong.errors import Invalid
from dougong.i18n import N_, gettext

Address = IPv4Address | IPv6Address
TRANSLATED = ip_network("64:ff9b::/96")
PORTS = {"https": 443, "http": 80}


class Refused(Exception):
    """The address is not one that we call."""


def check_url(url: str, networks: Sequence[str]) -> None:
    """Raise Invalid unless the address can be a receiver's; its name is looked up when sending.

    networks: private networks that the installation allows (``10.1.0.0/16``); plain HTTP is
    allowed to those alone.
    """
    reason = _fault(url, networks)
    if reason:
        raise Invalid(N_("Some fields are not right yet."), fields={"url": reason})


def _fault(url: str, networks: Sequence[str]) -> str | None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return gettext(N_("This is not an address."))
    if not host or any(ord(c) < 33 or ord(c) > 126 for c in url) or parts.fragment:
        return gettext(N_("This is not an address."))
    if parts.username is not None or parts.password is not None:
        return gettext(N_("An address with a password in it is not accepted."))
    if parts.scheme != "https" and not (parts.scheme == "http" and networks):
        return gettext(N_("The address must start with https://."))
    try:
        literal = ip_address(host)
    except ValueError:
        return None
    if not is_allowed(literal, networks):
        return gettext(N_("This address lies in a private network."))
    return None


def is_allowed(address: Address, networks: Sequence[str]) -> bool:
    """Tell whether an address is public, or in a network that the installation allows."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_allowed(address.ipv4_mapped, networks)
        if address in TRANSLATED:
            return is_allowed(IPv4Address(int(address) & 0xFFFF_FFFF), networks)
    if any(address in ip_network(n) for n in networks if ip_network(n).version == address.version):
        return True
    if isinstance(address, IPv6Address) and (address.sixtofour or address.teredo):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve(url: str, networks: Sequence[str]) -> tuple[str, Address]:
    """Return the URL with its name replaced by a checked address, and that address.

    Raises Refused when any address behind the name is not allowed, OSError when there is none.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not addresses or not all(is_allowed(a, networks) for a in addresses):
        raise Refused(f"{host} is not a public address")
    chosen = addresses[0]
    is_private = not chosen.is_global
    if parts.scheme == "http" and not is_private:
        raise Refused("plain HTTP leads to allowed private networks only")
    literal = f"[{chosen}]" if chosen.version == 6 else str(chosen)
    return parts._replace(netloc=f"{literal}:{port}").geturl(), chosen
