"""Facts about guidance: what was promised for a period, and what came."""

import msgspec

from quartermaster.kernel.fact import Fact


class GuidanceCame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came in for a period that was guided; the value is a decimal string."""

    value: str
    basis: str
    metric_version: str
    definition: str
    source: str


class GuidanceRecorded(Fact, frozen=True, tag=True):
    """A promise about a period, and what came in once it is known. `revenue.guidance` judges it."""

    metric: str
    unit: str
    period: str
    basis: str
    metric_version: str
    definition: str
    low: str
    high: str
    text: str
    source: str
    issued_on: str
    inferred: bool
    miss_chance: str
    came: GuidanceCame | None = None
