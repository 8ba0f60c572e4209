"""How a deployment takes its part of a model's requests: weight, priority, zones and patience."""

import re
from typing import Final

import msgspec

from quartermaster.kernel.errors import UsageError

WEIGHT_MAX = 1_000
"""Shares finer than a thousandth are noise beside the number of requests that would show them."""

PRIORITY_MAX = 99
"""Nobody stands by behind a hundred others; a larger number is a typing error."""

PATIENCE_S_MAX = 86_400
"""A request that runs for longer than a day is one that nobody waits for."""

ZONES_MAX = 8
"""A place lies in a country, a union and a vendor's zones; more is a list of something else."""

ZONE: Final = re.compile(r"[A-Z]{2}[A-Z0-9-]{0,14}")


class Routing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator says of one deployment; a time that is None is the gateway's setting."""

    weight: int = 1
    """Its share among the deployments of the same priority."""
    priority: int = 0
    """Lower is asked first; the next one only where nothing of the lower ones can be asked."""
    zones: tuple[str, ...] = ()
    """Where the data stays, such as `EU`: what a key or a contract may demand."""
    connect_s: int | None = None
    first_byte_s: int | None = None
    idle_s: int | None = None
    total_s: int | None = None
    """From the first attempt's opening to the last byte; unlimited by default."""

    def __post_init__(self) -> None:
        _within("weight", self.weight, 1, WEIGHT_MAX)
        _within("priority", self.priority, 0, PRIORITY_MAX)
        for name in ("connect_s", "first_byte_s", "idle_s", "total_s"):
            seconds = getattr(self, name)
            if seconds is not None:
                _within(name, seconds, 1, PATIENCE_S_MAX)
        if len(self.zones) > ZONES_MAX:
            raise UsageError(f"a deployment lies in at most {ZONES_MAX} zones", field="zones")
        for zone in self.zones:
            require_zone(zone, "zones")

    def lies_in(self, wanted: tuple[str, ...]) -> bool:
        """Whether data that must stay in all of these zones may go there."""
        return all(zone in self.zones for zone in wanted)


def require_zone(zone: str, field: str) -> str:
    """The zone, if it is written as zones are.

    Raises:
        UsageError: it is not.
    """
    if not ZONE.fullmatch(zone):
        raise UsageError(
            f"{zone!r} is not a data zone",
            field=field,
            hint="write two to sixteen capital letters, digits or '-', such as EU or US",
        )
    return zone


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} = {value} is not from {low} to {high}", field=name)
