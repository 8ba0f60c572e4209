"""What most keys do not have: endpoints and networks that a key is held to, and a throttled slice.

Built once a snapshot; a key without any of it has no guard, and its requests pay for none.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from quartermaster.gateway.addresses import Address, Networks, networks, within
from quartermaster.gateway.limits import Scoped
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.limit import Throttle
from quartermaster.kernel.snapshot import KeyGrant, Provisioned

_HINT: Final = "Contact your account manager."


class Guard(msgspec.Struct, frozen=True, gc=False):
    """The restrictions of one key; empty is not restricted."""

    endpoints: frozenset[str] = frozenset()
    networks: Networks = ()
    lanes: Mapping[str, Provisioned] = {}
    """By model, provisioned throughput that the key's contract has."""
    throttle: Throttle | None = None
    """Only where this key is in the slice."""
    throttled: tuple[Scoped, ...] = ()
    """What limits the slice."""

    def check_address(self, address: Address | None) -> None:
        """Whether the key may be used from there.

        Raises:
            RefusedError: 403.
        """
        if self.networks and not within(address, self.networks):
            said = "" if address is None else f" {address}"
            raise refused("address_not_allowed", f"This key may not be used from{said or ' here'}.")

    def check_endpoint(self, endpoint: str) -> None:
        """Whether the key may be used for this.

        Raises:
            RefusedError: 403.
        """
        if self.endpoints and endpoint not in self.endpoints:
            raise refused("endpoint_not_allowed", f"This key may not be used for {endpoint}.")

    def limiting(
        self, limited: tuple[Scoped, ...], endpoint: str, model: str
    ) -> tuple[Scoped, ...]:
        """What limits one request: what limits the key anyway, and the slice that it is in.

        Args:
            limited: what limits every request of the key.
            endpoint: what is asked for.
            model: of which model.

        Raises:
            RefusedError: 403 where the slice is closed.
        """
        throttle = self.throttle
        if throttle is None:
            return limited
        if throttle.endpoints and endpoint not in throttle.endpoints:
            return limited
        if throttle.models and model not in throttle.models:
            return limited
        if throttle.closed:
            raise refused("account_throttled", "This account is throttled.", hint=_HINT)
        return (*limited, *self.throttled)


def guard(grant: KeyGrant, throttle: Throttle | None) -> Guard | None:
    """The guard of a key, or None for the many that need none.

    Args:
        grant: the key.
        throttle: of its group, where the group is throttled.

    Raises:
        ValueError: a network of the grant is none.
    """
    hit = throttle is not None and (not throttle.keys or grant.key_id in throttle.keys)
    if not (grant.endpoints or grant.networks or grant.provisioned or hit):
        return None
    limits = throttle.limits if hit and throttle is not None else None
    return Guard(
        frozenset(grant.endpoints),
        networks(grant.networks),
        {terms.model: terms for terms in grant.provisioned},
        throttle if hit else None,
        (Scoped("throttle", grant.group, limits),) if limits is not None else (),
    )
