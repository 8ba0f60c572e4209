"""From which address does a client ask? The peer's, or what a trusted proxy says of it.

`X-Forwarded-For` is a list to which every proxy appends the address that it was called from. What
stands left of the first address that is no trusted proxy was written by a stranger.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]

# Reading an address takes longer than everything else about it; keys that are held to networks
# are called from few addresses.
ADDRESSES_KEPT_MAX: Final = 4_096
# Longer lists than five proxies write are somebody's attempt to keep us reading.
FORWARDED_BYTES_MAX: Final = 1_024


def networks(texts: Iterable[str]) -> Networks:
    """The networks of these texts: `203.0.113.0/24`, `2001:db8::/32`, or one address.

    Raises:
        ValueError: one is no network; it names the text.
    """
    return tuple(ip_network(text.strip()) for text in texts)


def within(address: Address | None, allowed: Networks) -> bool:
    """Whether an address is in one of the networks; an unknown address is in none."""
    return address is not None and any(
        address.version == network.version and address in network for network in allowed
    )


@lru_cache(maxsize=ADDRESSES_KEPT_MAX)
def client_address(peer: str, forwarded: bytes, trusted: Networks) -> Address | None:
    """The client's own address, or None where it cannot be known.

    Args:
        peer: address of whoever opened the connection, as the operating system writes it.
        forwarded: value of `X-Forwarded-For`, several of them joined with commas.
        trusted: proxies whose word counts; without any the header says nothing.
    """
    address = _read(peer)
    if not trusted or not forwarded or not within(address, trusted):
        return address
    if len(forwarded) > FORWARDED_BYTES_MAX:
        return None
    for said in reversed(forwarded.decode("latin-1").split(",")):
        address = _read(said.strip())
        if not within(address, trusted):
            return address
    return address


def _read(text: str) -> Address | None:
    """An address without port and zone; IPv4 inside IPv6 is read as what it is."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
