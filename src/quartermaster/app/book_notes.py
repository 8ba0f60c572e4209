"""What is to be known about the live book's figures, beside them on every page: German and English.

Named are what was converted and at which rates, what is left out for want of one, what came once,
and what has accrued on no invoice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from quartermaster.app.live import LiveBook
from quartermaster.app.one_currency import Worth
from quartermaster.console.format import Lang, money
from quartermaster.kernel.exchange import ExchangeRate
from quartermaster.kernel.money import Money


def of(book: LiveBook, worth: Worth, lang: Lang) -> str:
    """The notes, each behind a semicolon; empty where there is nothing to say."""
    return "".join(f"; {note}" for note in _notes(book, worth, lang))


def converted(rates: Sequence[ExchangeRate], lang: Lang) -> str:
    """At which rates amounts were converted."""
    newest = ", ".join(
        f"1 {one.base} = {one.rate} {one.quote} ({one.source}, {one.on})" for one in rates
    )
    if lang == "de":
        return f"umgerechnet zum Mittel der Kurse des Monats, zuletzt {newest}"
    return f"converted at the mean of each month's rates, the newest being {newest}"


def _notes(book: LiveBook, worth: Worth, lang: Lang) -> Iterator[str]:
    german, currency = lang == "de", worth.currency
    if worth.rates:
        yield converted(worth.rates, lang)
    sums: Counter[str] = Counter()
    groups: dict[str, set[str]] = defaultdict(set)
    for row in book.revenue:
        if row.currency in worth.left_out and row.minor > 0:
            sums[row.currency] += row.minor
            groups[row.currency].add(row.group)
    if sums:
        amounts = ", ".join(
            f"{money(Money(minor, unit), lang)} ({len(groups[unit])})"
            for unit, minor in sorted(sums.items())
        )
        yield (
            f"nicht darin, weil in anderer Währung ohne Kurs (Zahl der Kunden): {amounts}"
            if german
            else f"not in it, because in another currency without a rate (customers): {amounts}"
        )
    charged = (one for row in worth.revenue.values() for one in row.charged)
    once = sum(one.minor for one in charged if one.first != one.last)
    if once:
        amount = money(Money(once, currency), lang)
        yield (
            f"darin {amount}, die Jahren oder Laufzeiten zur Abnahmeverpflichtung fehlten: "
            "abgerechnet mit deren letztem Monat, in Hochrechnung und Prognose auf alle verteilt"
            if german
            else f"in it {amount} that years or terms lacked of commitments: billed with their "
            "last month, spread over all of them in run-rates and forecasts"
        )
    accrued = sum(one.minor for one in worth.accrued)
    if accrued:
        amount = money(Money(accrued, currency), lang)
        yield (
            f"abgegrenzt und nicht abgerechnet, in keiner Zahl: {amount} aus laufenden "
            "Abnahmeverpflichtungen"
            if german
            else f"accrued and not billed, in no figure: {amount} of commitments that run"
        )
