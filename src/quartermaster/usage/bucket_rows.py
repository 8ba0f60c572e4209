"""What a customer may ask about its usage, and the rows that answer: plain values, no engine."""

from decimal import Decimal
from typing import Literal

import msgspec

from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.units import Counts

BucketColumn = Literal["project", "key_id", "model", "service_class", "endpoint"]
"""What rows may be told apart by."""


class BucketsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: half-open in time, in buckets of one width that begin at `first_s`."""

    first_s: int
    """Seconds since 1970."""
    end_s: int
    width_s: int
    endpoints: tuple[Endpoint, ...] = ()
    """None is all."""
    by: tuple[BucketColumn, ...] = ()
    projects: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    batch: bool | None = None
    """Only batches, only the others, or None for both."""
    by_line: bool = False
    """Of costs: apart by what an invoice would tell apart."""
    lines: tuple[str, ...] = ()
    """Of costs: only lines of these names; empty is any."""


class BucketRow(msgspec.Struct, frozen=True):
    """One group in one bucket that has a request; a column that was not asked for is None."""

    start_s: int
    project: str | None
    key_id: str | None
    model: str | None
    service_class: str | None
    endpoint: str | None
    requests: int
    counts: Counts
    measured: int = 0
    """Of transcriptions the seconds that the model server says it has heard, of speech the
    characters to be spoken, of images that are counted in tokens their number."""


class DayCost(msgspec.Struct, frozen=True):
    """What one group comes to on one UTC day, in one currency, exact."""

    start_s: int
    project: str | None
    key_id: str | None
    line: str | None
    amount: Decimal
    currency: str
    quantity: int | None
    """Tokens, images or hours of units of the line; None where lines are added up, and of what has
    no quantity, such as a credit."""
    unit: str | None
