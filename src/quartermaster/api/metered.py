"""What was used and what it comes to: hours, single requests, draft invoices."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from quartermaster.api.operation import ANYBODY, Call, Operation
from quartermaster.api.paging import Limit, Page, Paged, page
from quartermaster.billing.invoice import Invoice
from quartermaster.book.views import View
from quartermaster.kernel.clock import Instant, as_datetime, month_named
from quartermaster.kernel.errors import NotFoundError, UsageError
from quartermaster.kernel.events import Cut, HourlyUsage, InvoiceDrafted, UsageEvent, UsageStatus
from quartermaster.kernel.units import Counts, CountSource, ServiceClass

TAG = "usage"
HOURS_PAGE = 500
# A cut names every gateway worker; fifty of them take three thousand characters.
CUT_CURSOR_CHARS_MAX = 4_096

Month = Annotated[
    str, msgspec.Meta(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$", description="Such as 2026-11.")
]


class CountsShown(msgspec.Struct, frozen=True):
    """Quantities by what the meter counts: tokens, except `image`, which counts images."""

    input: int
    cached_read: int
    cache_write: int
    output: int
    reasoning: int
    audio_input: int
    audio_output: int
    image: int


class HourShown(msgspec.Struct, frozen=True):
    """Billable counts of one hour, for one combination of what rating tells apart."""

    hour: datetime
    customer: str
    contract: str
    contract_version: int
    price_book: str
    project: str
    key_id: str
    model: str
    service_class: ServiceClass
    deployment: str | None
    """Null for a customer: where it was served is the seller's business."""
    requests: int
    counts: CountsShown


class Hours(msgspec.Struct, frozen=True):
    """A page of hours at one cut: the same cut gives the same rows, whatever is metered since."""

    cut: Cut
    period: str
    items: tuple[HourShown, ...]
    next: str | None


class HoursAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which hours."""

    period: Month
    time_zone: str = "UTC"
    """Whose month; an IANA name."""
    customer: str = ""
    """Only this customer's; a customer's token sees its own in any case."""
    limit: Limit = HOURS_PAGE
    after: Annotated[str, msgspec.Meta(max_length=CUT_CURSOR_CHARS_MAX)] = ""
    """Where the page begins: `next` of the one before."""


class Metered(msgspec.Struct, frozen=True):
    """Where the row stands in the usage table."""

    app_id: str
    segment: int
    sequence: int
    deployment: str
    event_hash: str


class RequestShown(msgspec.Struct, frozen=True):
    """One attempt of one request, as it was metered."""

    request_id: str
    attempt: int
    status: UsageStatus
    opened_at: datetime
    closed_at: datetime
    customer: str
    contract: str
    contract_version: int
    price_book: str
    price_book_version: int
    project: str
    key_id: str
    model: str
    endpoint: str
    service_class: ServiceClass
    stream: bool
    http_status: int
    finish_reason: str
    failure: str
    counts: CountsShown
    count_source: CountSource
    delivered_chunks: int
    metered: Metered | None
    """Null for a customer."""


class DraftShown(msgspec.Struct, frozen=True):
    """The newest recorded draft of a contract and period."""

    invoice: str
    contract: str
    customer: str
    period: str
    total_minor: int
    currency: str
    cut: Cut
    lines_sha256: str


class DraftsAsked(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which drafts."""

    customer: str = ""
    """Only this customer's."""


class _Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cursor of hours says: at which cut, and how many rows were shown."""

    cut: dict[str, int]
    shown: Annotated[int, msgspec.Meta(ge=1)]


def hours(call: Call) -> Hours:
    """Hourly usage of a month."""
    asked, usage = call.asked(HoursAsked), call.ports.usage
    period = month_named(asked.period, asked.time_zone)
    current = usage.cut()
    at = _position(asked.after, current) if asked.after else None
    cut, shown = (current, 0) if at is None else (at.cut, at.shown)
    customer = call.bearer.customer or asked.customer
    rows: Sequence[HourlyUsage] = usage.hourly(cut, customer=customer or None, period=period)
    if call.bearer.customer:
        rows = _wherever_served(rows)
    items = rows[shown : shown + asked.limit]
    end = shown + len(items)
    return Hours(
        cut=cut,
        period=period.label,
        items=tuple(_hour(row, own=not call.bearer.customer) for row in items),
        next=_cursor(_Position(cut, end)) if items and end < len(rows) else None,
    )


def request(call: Call) -> tuple[RequestShown, ...]:
    """Every attempt of one request; of a customer's, the one that served it."""
    wanted, customer = call.path["request_id"], call.bearer.customer
    events = call.ports.usage.request(wanted)
    mine = [event for event in events if customer in ("", event.opened.customer)]
    if customer:
        # Where else we asked is ours to know, and is not on the customer's bill.
        mine = [event for event in mine if not event.closed.cost_only]
    if not mine:
        raise NotFoundError(
            f"there is no usage of request {wanted!r}",
            hint="usage is in the table some seconds after the answer, while a clerk runs",
            field="request_id",
        )
    return tuple(_request(event, own=not customer) for event in mine)


def drafts(call: Call) -> Page[DraftShown]:
    """The newest recorded drafts."""
    asked, view = call.asked(DraftsAsked), call.ports.book.view()
    customer = call.bearer.customer or asked.customer
    found = [_draft(fact, view) for _, fact in sorted(view.drafts.items())]
    mine = [draft for draft in found if customer in ("", draft.customer)]
    # Not by its id: late usage makes another draft of the month between two pages.
    return page(mine, asked, lambda draft: f"{draft.contract}:{draft.period}")


def invoice(call: Call) -> Invoice:
    """A month's draft at the current cut."""
    contract, view = call.path["contract"], call.ports.book.view()
    versions, customer = view.contracts.get(contract), call.bearer.customer
    if versions is None or (customer and versions[-1].customer != customer):
        raise NotFoundError(f"there is no contract {contract!r}", field="contract")
    return call.ports.usage.invoice(contract, call.path["period"])


def _position(text: str, current: Cut) -> _Position:
    """What a cursor says.

    Raises:
        UsageError: it is not one of ours, or is ahead of the table.
    """
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii"))
        found = msgspec.json.decode(data, type=_Position)
    except (UnicodeError, binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise UsageError("after is no cursor of this list", field="after") from error
    for app_id, segment in found.cut.items():
        if not 0 <= segment <= current.get(app_id, -1):
            raise UsageError("after is no cursor of this table", field="after")
    return found


def _wherever_served(rows: Sequence[HourlyUsage]) -> list[HourlyUsage]:
    """Hours of the same combination as one, for whom the deployment is not told."""
    found: dict[HourlyUsage, tuple[int, Counts]] = {}
    for row in rows:
        of = msgspec.structs.replace(row, deployment="", requests=0, counts=Counts())
        requests, counts = found.get(of, (0, Counts()))
        found[of] = requests + row.requests, counts + row.counts
    return [
        msgspec.structs.replace(of, requests=requests, counts=counts)
        for of, (requests, counts) in found.items()
    ]


def _cursor(position: _Position) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def _hour(row: HourlyUsage, *, own: bool) -> HourShown:
    return HourShown(
        hour=as_datetime(Instant(row.hour)),
        customer=row.customer,
        contract=row.contract,
        contract_version=row.contract_version,
        price_book=row.price_book,
        project=row.project,
        key_id=row.key_id,
        model=row.model,
        service_class=row.service_class,
        deployment=row.deployment if own else None,
        requests=row.requests,
        counts=CountsShown(**msgspec.structs.asdict(row.counts)),
    )


def _request(event: UsageEvent, *, own: bool) -> RequestShown:
    opened, closed = event.opened, event.closed
    return RequestShown(
        request_id=opened.request_id,
        attempt=opened.attempt,
        status=event.status,
        opened_at=as_datetime(Instant(opened.opened_at)),
        closed_at=as_datetime(Instant(closed.closed_at)),
        customer=opened.customer,
        contract=opened.contract,
        contract_version=opened.contract_version,
        price_book=opened.price_book,
        price_book_version=opened.price_book_version,
        project=opened.project,
        key_id=opened.key_id,
        model=opened.model,
        endpoint=opened.endpoint,
        service_class=opened.service_class,
        stream=opened.stream,
        http_status=closed.http_status,
        finish_reason=closed.finish_reason,
        failure=closed.failure,
        counts=CountsShown(**msgspec.structs.asdict(closed.counts)),
        count_source=closed.count_source,
        delivered_chunks=closed.delivered_chunks,
        metered=Metered(
            event.app_id, event.segment, event.sequence, opened.deployment, event.event_hash
        )
        if own
        else None,
    )


def _draft(fact: InvoiceDrafted, view: View) -> DraftShown:
    return DraftShown(
        invoice=fact.invoice,
        contract=fact.contract,
        customer=view.contracts[fact.contract][-1].customer,
        period=fact.period,
        total_minor=fact.total_minor,
        currency=fact.currency,
        cut=fact.cut,
        lines_sha256=fact.lines_sha256,
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/usage/hourly",
        name="listHours",
        summary="The hourly rollup that rating reads, of a month; a customer sees its own.",
        tag=TAG,
        roles=ANYBODY,
        handler=hours,
        answer=Hours,
        query=HoursAsked,
        heavy=True,
    ),
    Operation(
        method="GET",
        path="/usage/requests/{request_id}",
        name="showRequest",
        summary="Every attempt of one request, by what the gateway sent as x-request-id.",
        tag=TAG,
        roles=ANYBODY,
        handler=request,
        answer=tuple[RequestShown, ...],
        heavy=True,
    ),
    Operation(
        method="GET",
        path="/invoices",
        name="listDrafts",
        summary="The newest recorded draft of every contract and month; a customer sees its own.",
        tag="invoices",
        roles=ANYBODY,
        handler=drafts,
        answer=Page[DraftShown],
        query=DraftsAsked,
    ),
    Operation(
        method="GET",
        path="/invoices/{contract}/{period}",
        name="showInvoice",
        summary="A month's draft invoice at the current cut, with every line; nothing is written.",
        tag="invoices",
        roles=ANYBODY,
        handler=invoice,
        answer=Invoice,
        heavy=True,
    ),
)
