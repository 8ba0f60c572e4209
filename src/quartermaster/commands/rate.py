"""Exchange rates: recorded with their day and source, corrected by recording the day again."""

from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.errors import ConflictError, UsageError
from quartermaster.kernel.exchange import ExchangeRate, RateRecorded, Rates, day_named


def record(book: Book, actor: Actor, rate: ExchangeRate, now: Instant) -> bool:
    """Record a rate; returns whether it says something new.

    The same pair and day again corrects it, and with it every figure that was converted at it: the
    journal keeps both.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: its day is yet to come.
        ConflictError: the pair is recorded the other way round.
    """
    require(actor, "finance", "admin")
    if day_named(rate.on) > as_datetime(now).date():
        raise UsageError(
            f"{rate.on} is yet to come", field="on", hint="nobody knows the rate of a day to come"
        )
    with book.writing() as unit:
        known = unit.view().rates
        before = known.get((rate.base, rate.quote, rate.on))
        if before is not None and before.rate == rate:
            return False
        if any((base, quote) == (rate.quote, rate.base) for base, quote, _ in known):
            raise ConflictError(
                f"rates of {rate.quote} in {rate.base} are recorded",
                hint=f"record this one in {rate.base} for one {rate.quote}: "
                "a pair has one direction, the other is its inverse",
                field="base",
            )
        unit.journal.append(RateRecorded(rate=rate), actor=actor, now=now)
    return True


def recorded(view: View) -> list[ExchangeRate]:
    """Every rate, by pair, the newest day first."""
    rates = [fact.rate for fact in view.rates.values()]
    return sorted(sorted(rates, key=lambda one: one.on, reverse=True), key=lambda one: one.pair)


def rates_of(view: View) -> Rates:
    """What converts at them."""
    return Rates(recorded(view))
