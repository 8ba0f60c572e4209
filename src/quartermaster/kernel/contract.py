"""Contracts as versioned facts: the fields that every room reads, fixed once."""

from typing import Literal

import msgspec

from quartermaster.kernel.clock import zone
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Rounding, exponent
from quartermaster.kernel.routing import require_zone
from quartermaster.kernel.units import SERVICE_CLASSES, ServiceClass

CancelledStream = Literal["bill_delivered", "bill_full", "free"]
PermittedUse = Literal[
    "application",
    "evaluation",
    "judging",
    "synthetic_data_own_use",
    "distillation_named_models",
]
Standing = Literal["active", "warned", "throttled", "suspended", "terminated"]
ServeUnpriced = Literal["refuse", "queue"]
CommitmentPer = Literal["month", "year", "term"]

TERMS_DAYS_MAX = 3_650
"""Ten years: a longer notice or payment term is a typing error."""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entities under common control: one customer for standing and for concentration."""

    id: str
    name: str
    sample: bool = False


class Customer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal entity that signs and pays. `group` is who controls it."""

    id: str
    name: str
    group: str
    country: str = ""
    sample: bool = False


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The least that is owed for each month, each year or the whole of a term, used or not.

    Months are calendar months of the contract's time zone, years begin on the first day of the term
    and its anniversaries; the first and last part are prorated by their hours. What usage lacks of
    the floor is charged with the month in which the part ends.
    """

    floor_minor: int
    start: int
    end: int
    per: CommitmentPer = "month"
    service_classes: tuple[ServiceClass, ...] = SERVICE_CLASSES
    """Whose invoice lines count towards it; `provisioned` is the hours of provisioned units."""
    models: tuple[str, ...] = ()
    """Only lines of these models count; empty is any."""

    def counts(self, model: str, service_class: ServiceClass) -> bool:
        """Whether a line of an invoice counts towards it."""
        return service_class in self.service_classes and (not self.models or model in self.models)


class PtuLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Provisioned units: billed by deployed unit and hour, used or not.

    What is served on them costs nothing more. Lines of one model that overlap add up.
    """

    model: str
    region: str
    units: int
    start: int
    end: int
    price_per_ptu_hour: str
    reserved_units: int = 0
    input_tokens_per_minute: int = 0
    """What one unit carries; the vendor's table says it by model."""
    output_weight: int = 1
    """How many input tokens an output token counts as; cached input counts as none."""
    spillover: bool = False
    """Whether what the units do not carry is served at standard prices, or refused."""
    deployment: str = ""
    """Only this one serves it; empty is any that serves the model."""

    def active(self, at: int) -> bool:
        """Whether the units are deployed at an instant."""
        return self.start <= at < self.end


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of an agreement. A change is a new version with a later `valid_from`.

    Instants are microseconds UTC; periods are local months in `time_zone`. `prepaid` spends from a
    balance and fails closed; `postpaid` is invoiced in arrears. Conduct reads `permitted_uses`,
    the content tap `watch_content`, the meter `cancelled_stream`.
    """

    id: str
    version: int
    customer: str
    price_book: str
    currency: str
    time_zone: str
    valid_from: int
    end: int | None = None
    notice_days: int = 30
    renewal: Literal["none", "automatic"] = "none"
    payment: Literal["postpaid", "prepaid"] = "postpaid"
    payment_days: int = 30
    rounding: Rounding = "half_up"
    cancelled_stream: CancelledStream = "bill_delivered"
    serve_unpriced: ServeUnpriced = "refuse"
    commitments: tuple[Commitment, ...] = ()
    ptu_lines: tuple[PtuLine, ...] = ()
    permitted_uses: tuple[PermittedUse, ...] = ("application", "evaluation")
    distillation_models: tuple[str, ...] = ()
    retain_content: bool = False
    retention_days: int = 0
    sample: bool = False
    data_zone: str = ""
    """Only deployments in this zone may be asked, such as `EU`; empty is any."""
    watch_content: bool = False
    """Whether the customer consents that sampled requests are read in memory for signs of a
    harvest and forgotten; without it the content tap takes nothing. Keeping text is another term,
    `retain_content`."""

    def __post_init__(self) -> None:
        exponent(self.currency)
        zone(self.time_zone)
        if self.data_zone:
            require_zone(self.data_zone, "data_zone")
        if self.end is not None and self.end <= self.valid_from:
            raise UsageError(f"contract {self.id} ends before it begins", field="end")
        for field in ("notice_days", "payment_days", "retention_days"):
            if not 0 <= getattr(self, field) <= TERMS_DAYS_MAX:
                raise UsageError(f"contract {self.id}: {field} is out of range", field=field)
