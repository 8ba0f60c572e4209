"""Settings of metering."""

import msgspec

from quartermaster.kernel.errors import ConfigError

SECONDS_MAX = 3_600.0
"""Usage that is sealed, or given up waiting for, later than this would be late for everybody."""


class UsageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often usage leaves the write-ahead log for the usage table."""

    seal_seconds: float = 2.0
    """Age of a segment's first row at which it is sealed: usage is in the table seconds later,
    and one table commit (about 0.1 s of work) every two seconds costs a clerk a twentieth."""

    seal_bytes: int = 32 * 1024 * 1024
    """Size at which a segment is sealed whatever its age; some 50 000 requests."""

    drain_seconds: float = 5.0
    """How long a full segment waits for the last bytes of its closed requests to leave before
    they are recorded as `closed_unconfirmed`. Handing over a last byte takes milliseconds; who
    needs longer has a client that stopped reading."""

    def __post_init__(self) -> None:
        for name, seconds in (
            ("seal_seconds", self.seal_seconds),
            ("drain_seconds", self.drain_seconds),
        ):
            # Written so that a number that is none (`nan`) is refused too.
            if not 0 <= seconds <= SECONDS_MAX:
                raise _unusable(name, seconds, f"use seconds from 0 to {SECONDS_MAX:g}")
        if self.seal_bytes < 1:
            raise _unusable("seal_bytes", self.seal_bytes, "use a whole number, at least 1")


def _unusable(name: str, value: float, hint: str) -> ConfigError:
    field = f"usage.{name}"
    return ConfigError(f"{field} = {value:g} cannot be used", hint=hint, field=field)
