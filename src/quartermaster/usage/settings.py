"""Settings of metering."""

import msgspec


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
