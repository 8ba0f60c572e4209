"""Draft invoices: rate a cut, record the draft, book the difference to what is booked already."""

from collections.abc import Sequence

from quartermaster.billing import invoice as billing
from quartermaster.billing.invoice import Invoice
from quartermaster.billing.provisioned import with_provisioned
from quartermaster.billing.rate import rate
from quartermaster.book.postings import PostingSet, accrued_receivable, revenue, transfer
from quartermaster.book.unit import Unit
from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant, Period, month_named
from quartermaster.kernel.contract import Contract
from quartermaster.kernel.errors import ConflictError, IntegrityError, NotFoundError
from quartermaster.kernel.events import Cut, HourlyUsage, InvoiceDrafted


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


def billing_version(versions: Sequence[Contract], period: Period) -> Contract | None:
    """The newest version that begins before the period ends, or None."""
    begun = [version for version in versions if version.valid_from < period.end]
    return begun[-1] if begun else None


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


def compute(
    view: View, contract: Contract, period: Period, cut: Cut, hourly: Sequence[HourlyUsage]
) -> Invoice:
    """The draft that these facts make; writes nothing.

    Args:
        view: all contract versions and price books.
        contract: the version that bills the period; see `contract_of`.
        period: the service period.
        cut: what `hourly` was read at.
        hourly: at least this contract's usage in the period.
    """
    versions = view.contracts[contract.id]
    price_books = [
        book
        for price_book in {version.price_book for version in versions}
        for book in view.price_books.get(price_book, ())
    ]
    mine = [row for row in hourly if row.contract == contract.id and row.hour in period]
    rated = with_provisioned(rate(mine, versions, price_books), versions, period)
    return billing.draft(contract, period, rated, cut)


def draft(
    book: Book,
    actor: Actor,
    *,
    contract: str,
    period: str,
    cut: Cut,
    hourly: Sequence[HourlyUsage],
    now: Instant,
) -> Invoice:
    """Rate, record and accrue; a draft that says nothing new is not recorded again.

    The accrual is the difference between the draft's total and what is booked for the contract
    and period, so late usage and repeated runs book every cent once.

    Args:
        book: where it is recorded.
        actor: who asks for it.
        contract: id of the contract.
        period: a month such as `2026-11`.
        cut: what `hourly` was read at.
        hourly: at least this contract's usage in the period at that cut.
        now: microseconds UTC.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: no such contract, or it begins later.
        ConflictError: a draft of a newer cut is recorded, and this one differs from it.
    """
    require(actor, "finance", "admin")
    with book.writing() as unit:
        view = unit.view()
        agreed, service_period = contract_of(view, contract, period)
        invoice = compute(view, agreed, service_period, cut, hourly)
        newest = view.drafts.get((contract, service_period.label))
        if newest is not None and newest.lines_sha256 == invoice.lines_sha256:
            return invoice
        if newest is not None and _is_behind(cut, newest.cut):
            raise ConflictError(
                f"contract {contract} {period}: a draft of a newer cut is recorded",
                hint="draft at the current cut",
            )
        entry = unit.journal.append(_fact(invoice), actor=actor, now=now)
        _accrue(unit, invoice, seq=entry.seq, now=now)
    return invoice


def _fact(invoice: Invoice) -> InvoiceDrafted:
    return InvoiceDrafted(
        invoice=invoice.id,
        contract=invoice.contract,
        period=invoice.period.label,
        cut=invoice.cut,
        total_minor=invoice.total_minor,
        currency=invoice.currency,
        lines_sha256=invoice.lines_sha256,
    )


def _accrue(unit: Unit, invoice: Invoice, *, seq: int, now: Instant) -> None:
    receivable = accrued_receivable(invoice.customer)
    booked = unit.ledger.booked(invoice.contract, invoice.period.label, receivable)
    postings = transfer(
        receivable, revenue(invoice.customer), invoice.total_minor - booked, invoice.currency
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
