"""What the clerk says of commitments: what months were charged, has accrued, and is owed ahead."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from quartermaster.app import live
from quartermaster.billing.commitment import Shortfall, lacked, spent
from quartermaster.book.views import View
from quartermaster.exposure.months import month_number
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_of
from quartermaster.kernel.commitment import Part, parts
from quartermaster.kernel.contract import Commitment, Contract
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.money import round_line
from quartermaster.kernel.price import PriceBook


def committed_months(versions: Sequence[Contract], now: Instant) -> list[str]:
    """Months up to now in which a floor was owed."""
    return [
        month
        for part in parts(versions)
        if part.start < now
        for month in _months(part.start, min(part.end, now), versions[0].time_zone)
    ]


def bound_rows(view: View, rows: Iterable[HourlyUsage]) -> dict[str, list[HourlyUsage]]:
    """Usage of the real contracts that have commitments, by contract: in one look at all rows."""
    found: dict[str, list[HourlyUsage]] = {
        contract: []
        for contract, versions in sorted(view.contracts.items())
        if not versions[-1].sample and any(one.commitments for one in versions)
    }
    if found:
        for row in rows:
            if row.contract in found:
                found[row.contract].append(row)
    return found


def charged(found: Shortfall, versions: Sequence[Contract], minor: int) -> live.Charged:
    """A shortfall as it stands in the clerk's view."""
    months = _months(found.part.start, found.part.end, versions[0].time_zone)
    return live.Charged(months[0], months[-1], minor)


def owed(
    view: View, bound: Mapping[str, Sequence[HourlyUsage]], now: Instant
) -> tuple[live.Owed, ...]:
    """What real contracts oblige their customers to, month by month: past, running and to come.

    Of a year or term that runs, what closed months used of it is past; the rest is owed in the
    months that are left.

    Args:
        view: the book.
        bound: see `bound_rows`.
        now: decides which month runs.
    """
    found = list[live.Owed]()
    for contract, mine in bound.items():
        versions = view.contracts[contract]
        books = view.price_books_of(versions)
        who = view.customers[versions[-1].customer]
        spans = [
            (part.commitment, *span)
            for part in parts(versions)
            for span in _spans(part, versions, books, mine, now)
        ]
        found += [
            live.Owed(contract, who.id, who.group, versions[0].currency, *span)
            for span in sorted(_joined(spans))
        ]
    return tuple(found)


def accrued(
    view: View, bound: Mapping[str, Sequence[HourlyUsage]], now: Instant
) -> tuple[live.Accrued, ...]:
    """What running parts lack for their hours that have passed; arguments as `owed`."""
    until, found = now - now % US_PER_HOUR, list[live.Accrued]()
    for contract, mine in bound.items():
        versions = view.contracts[contract]
        newest, books = versions[-1], view.price_books_of(versions)
        who = view.customers[newest.customer]
        for part in parts(versions):
            if not part.start < until < part.end:
                continue
            so_far = Part(part.commitment, part.start, until, part.whole_us)
            short = lacked(so_far, versions, books, mine)
            minor = 0
            if short is not None:
                minor = round_line(short.amount, newest.currency, newest.rounding).minor
            if minor:
                months = _months(part.start, part.end, newest.time_zone)
                span = months[0], months[-1]
                one = live.Accrued(contract, who.id, who.group, newest.currency, *span, minor)
                found.append(one)
    return tuple(found)


def _joined(spans: Sequence[tuple[Commitment, str, str, int]]) -> Iterator[tuple[str, str, int]]:
    """Months of one floor as one span, if without a gap: who forecasts in one knows the next."""
    joined: dict[tuple[Commitment, int], tuple[str, str, int]] = {}
    for one, first, last, minor in spans:
        if one.per != "month":
            yield first, last, minor
            continue
        before = joined.get((one, minor))
        if before is not None and month_number(before[1]) + 1 == month_number(first):
            joined[one, minor] = (before[0], last, before[2] + minor)
            continue
        if before is not None:
            yield before
        joined[one, minor] = (first, last, minor)
    yield from joined.values()


def _spans(
    part: Part,
    versions: Sequence[Contract],
    books: Sequence[PriceBook],
    rows: Sequence[HourlyUsage],
    now: Instant,
) -> Iterator[tuple[str, str, int]]:
    """First month, last month and what is owed in them together."""
    newest = versions[-1]
    minor = round_line(part.floor(newest.currency), newest.currency, newest.rounding).minor
    months = _months(part.start, part.end, newest.time_zone)
    running = month_of(now, newest.time_zone)
    ahead = [month for month in months if month >= running.label]
    behind = months[: len(months) - len(ahead)]
    if not ahead or not behind:
        yield months[0], months[-1], minor
        return
    closed = Part(part.commitment, part.start, running.start, part.whole_us)
    left = max(minor - spent(closed, versions, books, rows), 0)
    yield behind[0], behind[-1], minor * len(behind) // len(months)
    yield ahead[0], ahead[-1], left


def _months(start: int, end: int, zone_name: str) -> list[str]:
    """Labels of the local months that a span touches."""
    found, at = list[str](), start
    while at < end:
        month = month_of(Instant(at), zone_name)
        found.append(month.label)
        at = month.end
    return found
