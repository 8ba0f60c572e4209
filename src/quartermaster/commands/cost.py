"""The cost ledger: what model servers charge for a month, rated, recorded and accrued."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from quartermaster.billing.cost import Attempts, Costs, rate_costs, total_minor
from quartermaster.book.postings import PostingSet, accrued_payable, cost, supply, transfer
from quartermaster.book.unit import Unit
from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError
from quartermaster.kernel.events import CostRated, Cut


def rated(view: View, asked: Sequence[Attempts]) -> Costs:
    """Attempts at what the book says that each deployment costs; writes nothing."""
    known = {name: one.fact for name, one in view.deployments.items()}
    return rate_costs(asked, known, view.price_books)


def record(
    book: Book, actor: Actor, *, period: str, cut: Cut, asked: Sequence[Attempts], now: Instant
) -> list[CostRated]:
    """Record and accrue what each deployment's attempts of a month cost.

    Only the difference to what is booked for the deployment and month is posted, so late usage and
    repeated runs book every cent once.

    Args:
        book: where it is recorded.
        actor: who asks for it.
        period: a UTC month such as `2026-11`.
        cut: what `asked` was read at.
        asked: all attempts of the month at that cut.
        now: microseconds UTC.

    Returns:
        What is new; nothing where all of it is recorded already.

    Raises:
        NotAllowedError: the actor may not.
        ConflictError: a newer cut is recorded, or the cost book's currency has changed since.
    """
    require(actor, "finance", "admin")
    news: list[CostRated] = []
    with book.writing() as unit:
        view = unit.view()
        costs = rated(view, asked)
        for deployment in sorted({line.contract for line in costs.rated.lines}):
            fact = _fact(costs, deployment, period, cut)
            known = view.costs.get((deployment, period))
            if known is not None and known.lines_sha256 == fact.lines_sha256:
                continue
            if known is not None:
                _check(known, fact)
            entry = unit.journal.append(fact, actor=actor, now=now)
            _accrue(unit, fact, seq=entry.seq, now=now)
            news.append(fact)
    return news


def _fact(costs: Costs, deployment: str, period: str, cut: Cut) -> CostRated:
    lines = [line for line in costs.rated.lines if line.contract == deployment]
    minor, currency = total_minor(costs.rated, deployment)
    digest = sha256(msgspec.json.encode(lines)).hexdigest()
    return CostRated(
        deployment=deployment,
        period=period,
        cut=dict(sorted(cut.items())),
        total_minor=minor,
        currency=currency,
        lines_sha256=digest,
    )


def _check(known: CostRated, fact: CostRated) -> None:
    if any(fact.cut.get(app_id, -1) < segment for app_id, segment in known.cut.items()):
        raise ConflictError(
            f"deployment {fact.deployment} {fact.period}: a newer cut is recorded",
            hint="record at the current cut",
        )
    if known.currency != fact.currency:
        raise ConflictError(
            f"deployment {fact.deployment} {fact.period} is booked in {known.currency}, "
            f"its cost book is in {fact.currency}",
            hint="give the deployment a cost book in the currency that is booked",
        )


def _accrue(unit: Unit, fact: CostRated, *, seq: int, now: Instant) -> None:
    account, contract = cost(fact.deployment), supply(fact.deployment)
    booked = unit.ledger.booked(contract, fact.period, account)
    payable = accrued_payable(fact.deployment)
    postings = transfer(account, payable, fact.total_minor - booked, fact.currency)
    if postings:
        unit.ledger.post(
            PostingSet(key=f"cost:{seq}", contract=contract, period=fact.period, postings=postings),
            seq=seq,
            now=now,
        )
