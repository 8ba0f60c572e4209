"""From which network and with which program does a customer ask? Keyed hashes of both, no address.

They link accounts that coincide besides text. Only requests that the tap reads are looked at, so
that others cost nothing; and neither address nor program leaves this process.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final, Protocol

from quartermaster.gateway.addresses import (
    ADDRESSES_KEPT_MAX,
    FORWARDED_BYTES_MAX,
    Address,
    Networks,
    client_address,
)
from quartermaster.gateway.requests import Request

# What one line, one company or one cloud region is given: an address within it changes by itself.
IPV4_BITS: Final = 24
IPV6_BITS: Final = 48
# 64 bits: equal by chance among a million networks once in thirty million times.
_DIGEST_BYTES: Final = 8
# Where nothing is known of it.
NOWHERE: Final = ("", "")


class Asking(Protocol):
    """A client's connection, as far as it says who asks."""

    @property
    def peer(self) -> str:
        """Address of whoever opened the connection; empty where it has none."""

    @property
    def agent(self) -> bytes:
        """The header `User-Agent` of its last head that was parsed."""


class Whence:
    """Hashes under one deployment's pepper: the same on all workers, and tomorrow.

    Args:
        pepper: the key of the hashes.
        trusted: proxies whose word on addresses counts.
    """

    def __init__(self, pepper: bytes, trusted: Networks) -> None:
        self._pepper, self._trusted = pepper, trusted
        self._known = lru_cache(ADDRESSES_KEPT_MAX)(self._hashes)

    def of(self, client: Asking, request: Request) -> tuple[str, str]:
        """Network and program as keyed hashes; each empty where it is not known."""
        head = request.head
        forwarded, agent = request.forwarded, client.agent
        if head is not None:
            forwarded, agent = head.forwarded, head.agent
        if not self._trusted:
            forwarded = b""
        # A list that is too long to be read is not kept either: then the network is not known.
        peer = client.peer if len(forwarded) <= FORWARDED_BYTES_MAX else ""
        return self._known(peer, forwarded if peer else b"", agent)

    def _hashes(self, peer: str, forwarded: bytes, agent: bytes) -> tuple[str, str]:
        address = client_address(peer, forwarded, self._trusted)
        network = b"" if address is None else network_of(address)
        return self._hash(b"network", network), self._hash(b"client", agent)

    def _hash(self, what: bytes, value: bytes) -> str:
        if not value:
            return ""
        said = b"%b\0%b" % (what, value)
        return blake2b(said, key=self._pepper, digest_size=_DIGEST_BYTES).hexdigest()


def network_of(address: Address) -> bytes:
    """The network of an address, /24 or /48; empty for this very machine, which names nobody."""
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return b""
    bits = IPV4_BITS if address.version == 4 else IPV6_BITS
    return b"%d/%b" % (address.version, address.packed[: bits // 8])
