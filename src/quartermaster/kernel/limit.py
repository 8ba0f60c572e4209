"""How much at once: limits of a key, a project or a customer group, and who has them."""

from typing import Literal

import msgspec

LIMIT_MAX = 1_000_000_000_000
"""A million million tokens a minute is more than all public models serve together; above it is a
typing error."""

LimitScope = Literal["key", "project", "group"]
"""A limit is of one key, or of everything that a customer's project, or a customer group, sends
together."""


def project_name(customer: str, project: str) -> str:
    """Names a project among all customers' projects: no id holds a slash."""
    return f"{customer}/{project}"


AT_ONCE = ("requests_per_minute", "tokens_per_minute", "concurrent")
"""Limits that all requests of somebody share; the others hold for each request by itself."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is None is not limited."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Estimated at arrival, corrected by what was metered."""
    concurrent: int | None = None
    """Requests from their arrival until their last byte is delivered or the client is gone."""
    output_tokens: int | None = None
    """The most that one answer may have; what states no limit is given this one."""
    body_bytes: int | None = None
    """Of one request."""
    stream_seconds: int | None = None
    """From a request's arrival until its answer ends, streamed or not."""

    def named(self) -> list[tuple[str, int]]:
        """The limits that there are, by field."""
        return [
            (name, value)
            for name, value in msgspec.structs.asdict(self).items()
            if value is not None
        ]

    def share(self, workers: int, number: int) -> "Shares":
        """What worker `number` of so many may let pass; all shares add up to the limits."""
        return Shares(
            *(
                None if whole is None else whole // workers + (number < whole % workers)
                for whole in (self.requests_per_minute, self.tokens_per_minute, self.concurrent)
            )
        )


class Throttle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `throttled` means for one customer group: which of its requests, and how many pass.

    An empty tuple is everything, so a throttle that names nothing holds for the whole group.
    """

    limits: Limits = Limits()
    """Shared by all requests of the slice, besides what limits them anyway; with none of them no
    request of the slice passes."""
    keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    """As `events.Endpoint` names them."""

    @property
    def closed(self) -> bool:
        """Whether nothing of the slice passes."""
        return not self.limits.named()

    @property
    def whole(self) -> bool:
        """Whether the slice is everything that the group sends."""
        return not (self.keys or self.models or self.endpoints)


class Shares(msgspec.Struct, frozen=True):
    """One worker's part of limits; it may be zero where there are more workers than units."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
