"""Which addresses a name has, and whether they are everybody's or somebody's own network."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IpAddress = IPv4Address | IPv6Address

# Global by its range, but in Azure it answers every machine with that machine's own secrets.
AZURE_PLATFORM = IPv4Network("168.63.129.16/32")

GLOBAL_UNICAST = IPv6Network("2000::/3")
# The last 32 bits are an IPv4 address, which a translator in the network will connect to.
NAT64 = IPv6Network("64:ff9b::/96")


async def addresses_of(host: str) -> list[IpAddress]:
    """Return the addresses of a name, or of a number in any of the ways to write one.

    `2130706433`, `0x7f.1` and `0177.0.0.1` are 127.0.0.1, as they are to whoever connects. The
    list is empty where nobody knows the name.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return []
    return [ip_address(address[0]) for *_, address in found]


def is_public(address: IpAddress) -> bool:
    """Return whether an address, and the one it may hide, is on the public internet."""
    if isinstance(address, IPv4Address):
        is_global = address.is_global and not address.is_multicast
        return is_global and address not in AZURE_PLATFORM
    hidden = _hidden_ipv4(address)
    if hidden is not None:
        return is_public(hidden)
    return address in GLOBAL_UNICAST and address.is_global


def _hidden_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
