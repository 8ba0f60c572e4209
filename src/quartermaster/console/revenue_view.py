"""The revenue page in words and rows: billed and accrued apart, and the rates totals hang on."""

from decimal import Decimal

import msgspec

from quartermaster.console.format import Lang, day, money, month_long, number
from quartermaster.console.language import Words
from quartermaster.console.ports_revenue import RevenueFacts
from quartermaster.kernel.exchange import ExchangeRate, day_named
from quartermaster.kernel.money import EXACT, Money, exponent
from quartermaster.revenue.by_month import ContractMonth, RevenueMonths

MONTHS_SHOWN_MAX = 200
"""Contracts times months on one page: more are in the tables to download."""

Cells = tuple[str, ...]


class RevenueView(msgspec.Struct, frozen=True):
    """Everything the page shows."""

    finding: str
    accrued_finding: str
    notes: tuple[str, ...]
    currency: str
    currencies: tuple[str, ...]
    totals: tuple[Cells, ...]
    """Month, used, shortfall, billed."""
    months: tuple[Cells, ...]
    """Month, contract, customer, used, shortfall, billed, converted."""
    more: str
    accrued: tuple[Cells, ...]
    """Contract, customer, months, amount, converted."""
    rates: tuple[Cells, ...]
    """Day, rate, source."""


def view_of(facts: RevenueFacts, words: Words) -> RevenueView:
    """Lay the facts out for a reader."""
    found, lang = facts.months, words.lang
    rates = tuple(_rate(one, lang) for one in facts.rates)
    if found is None:
        empty = words("page.empty")
        return RevenueView(empty, "", (), "", (), (), (), "", (), rates)
    shown = found.months[::-1][:MONTHS_SHOWN_MAX]
    left = len(found.months) - len(shown)
    open_months = {line.month for line in found.months if line.running}
    accrued = ""
    if found.accrued:
        accrued = words("page.accrued", amount=_money(found.accrued_total, found.currency, lang))
    return RevenueView(
        finding=_finding(found, words),
        accrued_finding=accrued,
        notes=tuple(
            words("page.left_out", currency=name, why=_missing(found, name, words))
            for name in found.left_out
        ),
        currency=found.currency,
        currencies=tuple(sorted({found.currency, *(line.currency for line in found.months)})),
        totals=tuple(
            (
                _month(total.month, running=total.month in open_months, words=words),
                *(
                    _money(amount, found.currency, lang)
                    for amount in (total.used, total.shortfall, total.billed)
                ),
            )
            for total in found.totals[::-1]
        ),
        months=tuple(_line(line, found, words) for line in shown),
        more=words("page.more", count=number(left, lang)) if left else "",
        accrued=tuple(
            (
                one.contract,
                one.customer,
                words(
                    "page.span", first=month_long(one.first, lang), last=month_long(one.last, lang)
                ),
                _money(one.amount, one.currency, lang),
                _converted(one.converted, found.currency, words),
            )
            for one in found.accrued
        ),
        rates=rates,
    )


def _span(first: str, last: str, words: Words) -> str:
    months = {"first": month_long(first, words.lang), "last": month_long(last, words.lang)}
    return words("page.span", **months)


def _finding(found: RevenueMonths, words: Words) -> str:
    closed = {line.month for line in found.months if not line.running}
    last = next((total for total in found.totals[::-1] if total.month in closed), None)
    if last is None:
        return words("page.running_only")
    return words(
        "page.finding",
        month=month_long(last.month, words.lang),
        billed=_money(last.billed, found.currency, words.lang),
        shortfall=_money(last.shortfall, found.currency, words.lang),
    )


def _month(label: str, *, running: bool, words: Words) -> str:
    month = month_long(label, words.lang)
    return words("page.running", month=month) if running else month


def _line(line: ContractMonth, found: RevenueMonths, words: Words) -> Cells:
    lang = words.lang
    return (
        _month(line.month, running=line.running, words=words),
        line.contract,
        line.customer_name,
        *(_money(text, line.currency, lang) for text in (line.used, line.shortfall, line.billed)),
        _converted(line.converted, found.currency, words),
    )


def _missing(found: RevenueMonths, name: str, words: Words) -> str:
    """A catalogue's own words; the message of the book is in one language."""
    lines = [line for line in found.months if line.currency == name]
    first = min((line.month for line in lines), default="")
    if not first:
        return words("page.no_rate", currency=name, total=found.currency)
    return words(
        "page.no_rate_since",
        currency=name,
        total=found.currency,
        month=month_long(first, words.lang),
    )


def _converted(text: str | None, currency: str, words: Words) -> str:
    return words("page.unknown") if text is None else _money(text, currency, words.lang)


def _money(text: str, currency: str, lang: Lang) -> str:
    minor = EXACT.scaleb(Decimal(text), exponent(currency))
    return money(Money(int(minor), currency), lang)


def _rate(one: ExchangeRate, lang: Lang) -> Cells:
    places = -int(Decimal(one.rate).as_tuple().exponent)
    value = number(Decimal(one.rate), lang, decimals=max(places, 0))
    return day(day_named(one.on), lang), f"1 {one.base} = {value} {one.quote}", one.source
