"""Draft invoices: rate a cut, record the draft, book the difference to what is booked already.

Usage is read outside of the book's transaction, because that holds the only write lock. What was
read names its cut and its span, and is recorded only while both still do for what the book says.
"""

from collections.abc import Callable, Sequence

import msgspec

from quartermaster.billing import invoice as billing
from quartermaster.billing.commitment import billing_version, shortfalls
from quartermaster.billing.invoice import Invoice
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import rate
from quartermaster.book.postings import (
    PostingSet,
    accrued_receivable,
    credit_balance,
    revenue,
    transfer,
)
from quartermaster.book.unit import Unit
from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.ports import Book
from quartermaster.kernel.case import CreditUsed
from quartermaster.kernel.clock import US_PER_HOUR, Instant, Period, month_named, month_of
from quartermaster.kernel.commitment import due_in, parts
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import Cut, HourlyUsage, InvoiceDrafted

READS_MAX = 5
"""Usage is read again when terms change while it is read; five changes in a row are a loop."""


class UsageAtCut(msgspec.Struct, frozen=True):
    """Usage as it was read: everything of a customer in a span, as far as a cut goes."""

    cut: Cut
    span: Period
    hourly: Sequence[HourlyUsage]


ReadUsage = Callable[[Contract, Period], UsageAtCut]
"""Reads the current cut, and at it the hours of a contract's customer in a span."""


def contract_of(view: View, contract_id: str, period_label: str) -> tuple[Contract, Period]:
    """The contract version that bills a period, and the period in the contract's time zone.

    It is the newest version that begins before the period ends.

    Args:
        view: the book.
        contract_id: which contract.
        period_label: a month such as `2026-11`.

    Raises:
        NotFoundError: no such contract, or it begins later.
        UsageError: the label is not a month.
    """
    versions = view.contracts.get(contract_id)
    if versions is None:
        raise NotFoundError(f"there is no contract {contract_id!r}", field="contract")
    period = month_named(period_label, versions[0].time_zone)
    version = billing_version(versions, period)
    if version is None:
        raise NotFoundError(f"contract {contract_id} begins after {period_label}", field="period")
    return version, period


def usage_span(view: View, contract: Contract, period: Period) -> Period:
    """The hours of usage that a draft hangs on: more than its month, where floors or credits do.

    Args:
        view: the book.
        contract: any version of it.
        period: the service period.
    """
    labels = [period.label, *_following(view, contract.id, period)]
    first = [*_months_before(view, contract.id, period), period][0].start
    # Months between recorded drafts redeem credits too, so their floors count as well.
    whole = msgspec.structs.replace(
        period, start=first, end=month_named(labels[-1], period.zone).end
    )
    starts = [part.start for part in due_in(view.contracts[contract.id], whole)]
    return msgspec.structs.replace(whole, start=min([first, *starts]))


def require_shipped(view: View, cut: Cut) -> None:
    """Check that the usage table still has every segment that the journal saw shipped.

    Args:
        view: the book.
        cut: everything the table has; an older cut may well be behind the journal.

    Raises:
        IntegrityError: segments are gone, so an invoice of this cut would be too low.
    """
    for app_id, segment in sorted(view.shipped.items()):
        found = cut.get(app_id, 0)
        if found < segment:
            raise IntegrityError(
                f"the usage table ends at segment {found} of {app_id}, "
                f"the journal saw segment {segment} shipped",
                hint="restore the folder usage of the data folder from a backup",
            )


def require_begun(period: Period, now: Instant) -> None:
    """Check that something of a month can have accrued.

    Raises:
        UsageError: the month is yet to come.
    """
    if now < period.start:
        raise UsageError(
            f"{period.label} has not begun in {period.zone}",
            hint="a draft holds what has accrued until now",
            field="period",
        )


def compute(
    view: View,
    contract: Contract,
    period: Period,
    cut: Cut,
    hourly: Sequence[HourlyUsage],
    *,
    until: Instant,
) -> Invoice:
    """The draft that these facts make; writes nothing.

    Args:
        view: all contract versions and price books.
        contract: the version that bills the period; see `contract_of`.
        period: the service period.
        cut: what `hourly` was read at.
        hourly: at least this contract's usage in `usage_span`.
        until: what is owed without a request accrues up to the last full hour before it.
    """
    until = Instant(until - until % US_PER_HOUR)
    grants = view.credits.get(contract.id, ())
    earlier = [
        (month.label, _earned(view, agreed, month, cut, hourly, until).earned_minor)
        for month in _months_before(view, contract.id, period)
        if (agreed := billing_version(view.contracts[contract.id], month)) is not None
    ]
    earned = _earned(view, contract, period, cut, hourly, until)
    return billing.with_credits(earned, grants, earlier)


def _earned(
    view: View,
    contract: Contract,
    period: Period,
    cut: Cut,
    hourly: Sequence[HourlyUsage],
    until: Instant,
) -> Invoice:
    """The draft before credits."""
    versions = view.contracts[contract.id]
    price_books = view.price_books_of(versions)
    mine = [row for row in hourly if row.contract == contract.id]
    used = [row for row in mine if row.hour in period]
    rated = with_provisioned(rate(used, versions, price_books), versions, period, until=until)
    short = shortfalls(versions, price_books, mine, period)
    return billing.draft(contract, period, rated, cut, short, until=until)


def _months_before(view: View, contract: str, period: Period) -> list[Period]:
    """Months from the contract's first credit on, whose invoices redeem before this one."""
    granted = [grant.credit.period for grant in view.credits.get(contract, ())]
    found = list[Period]()
    at = month_named(min(granted), period.zone).start if granted else period.start
    while at < period.start:
        found.append(month_of(Instant(at), period.zone))
        at = found[-1].end
    return found


def _following(view: View, contract: str, period: Period) -> list[str]:
    """Recorded drafts of later months that hang on this one: by a floor, or by credits."""
    if not parts(view.contracts[contract]) and contract not in view.credits:
        return []
    return sorted(month for name, month in view.drafts if name == contract and month > period.label)


def draft(
    book: Book,
    actor: Actor,
    *,
    contract: str,
    period: str,
    read: ReadUsage,
    now: Instant,
) -> Invoice:
    """Rate, record and accrue; a draft that says nothing new is not recorded again.

    The accrual is the difference between the draft's total and what is booked for the contract
    and period, so late usage and repeated runs book every cent once. Recorded drafts of later
    months that hang on this one, by a commitment or by credits, are brought up to date with it.

    Args:
        book: where it is recorded.
        actor: who asks for it.
        contract: id of the contract.
        period: a month such as `2026-11`.
        read: reads usage; asked again where terms or a newer draft came in between.
        now: microseconds UTC.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: no such contract, or it begins later.
        UsageError: not a month, or one that has not begun.
        ConflictError: what was read is older than a recorded draft or the terms, `READS_MAX` times.
        IntegrityError: the usage table has lost segments that the journal saw shipped.
    """
    require(actor, "finance", "admin")
    for _ in range(READS_MAX):
        view = book.view()
        agreed, months = contract_of(view, contract, period)
        require_begun(months, now)
        used = read(agreed, usage_span(view, agreed, months))
        # The journal follows the table: what it knew before the cut was read is in the cut.
        require_shipped(view, used.cut)
        with book.writing() as unit:
            if _suffices(unit.view(), used, contract, period):
                return _write(unit, used, actor, contract, period, now)
    raise ConflictError(
        f"contract {contract} {period}: a draft of a newer cut is recorded, or terms changed "
        "while its usage was read",
        hint="draft at the current cut",
    )


def _suffices(view: View, used: UsageAtCut, contract: str, period: str) -> bool:
    """Whether what was read is all that a draft of the book as it is now hangs on."""
    agreed, months = contract_of(view, contract, period)
    span = usage_span(view, agreed, months)
    newest = view.drafts.get((contract, period))
    behind = newest is not None and _is_behind(used.cut, newest.cut)
    return used.span.start <= span.start and span.end <= used.span.end and not behind


def _write(
    unit: Unit, used: UsageAtCut, actor: Actor, contract: str, period: str, now: Instant
) -> Invoice:
    view = unit.view()
    agreed, service_period = contract_of(view, contract, period)
    invoice = compute(view, agreed, service_period, used.cut, used.hourly, until=now)
    _record(unit, invoice, actor, now)
    for label in _following(view, contract, service_period):
        later, month = contract_of(view, contract, label)
        follows = compute(view, later, month, used.cut, used.hourly, until=now)
        _record(unit, follows, actor, now)
    return invoice


def _record(unit: Unit, invoice: Invoice, actor: Actor, now: Instant) -> None:
    newest = unit.view().drafts.get((invoice.contract, invoice.period.label))
    if newest is not None and newest.lines_sha256 == invoice.lines_sha256:
        return
    if newest is not None and _is_behind(invoice.cut, newest.cut):
        raise ConflictError(
            f"contract {invoice.contract} {invoice.period.label}: "
            "a draft of a newer cut is recorded",
            hint="draft at the current cut",
        )
    entry = unit.journal.append(_fact(invoice), actor=actor, now=now)
    _accrue(unit, invoice, seq=entry.seq, now=now)


def _fact(invoice: Invoice) -> InvoiceDrafted:
    return InvoiceDrafted(
        invoice=invoice.id,
        contract=invoice.contract,
        period=invoice.period.label,
        cut=invoice.cut,
        total_minor=invoice.total_minor,
        currency=invoice.currency,
        lines_sha256=invoice.lines_sha256,
        credits=tuple(CreditUsed(line.case, -line.minor) for line in invoice.credits),
    )


def _accrue(unit: Unit, invoice: Invoice, *, seq: int, now: Instant) -> None:
    receivable, earned = accrued_receivable(invoice.customer), revenue(invoice.customer)
    of_month = invoice.contract, invoice.period.label
    owes = invoice.total_minor - unit.ledger.booked(*of_month, receivable)
    earns = invoice.earned_minor + unit.ledger.booked(*of_month, earned)
    granted = credit_balance(invoice.customer)
    postings = (
        *transfer(receivable, earned, owes, invoice.currency),
        *transfer(granted, earned, earns - owes, invoice.currency),
    )
    if postings:
        posting_set = PostingSet(
            key=f"accrual:{seq}",
            contract=invoice.contract,
            period=invoice.period.label,
            postings=postings,
            sample=invoice.sample,
        )
        unit.ledger.post(posting_set, seq=seq, now=now)


def _is_behind(cut: Cut, newer: Cut) -> bool:
    """Whether some worker's segments are taken less far than in the newer cut."""
    return any(cut.get(app_id, -1) < segment for app_id, segment in newer.items())
