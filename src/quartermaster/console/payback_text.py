"""The answer of `quartermaster payback` in words and rows: German and English."""

from decimal import Decimal
from typing import Any

from quartermaster.console.exposure_loss import rate
from quartermaster.console.format import Lang, money, number, percent
from quartermaster.console.report_words import catalogue
from quartermaster.console.text_columns import columns
from quartermaster.kernel.money import Money, exponent


def text(tree: dict[str, Any], lang: Lang) -> str:
    """The finding, the months by backfill, and the break-even.

    Args:
        tree: as `capacity.payback_answer.answer` gives it.
        lang: language of the reader.
    """
    words = catalogue("capacity", lang)
    never = words("cli.never")
    left = tree["months_without"]
    factor = tree["stretch"]
    lines = [
        words(
            "cli.payback",
            **{"with": _months(tree["months_with"], lang)},
            left=never if left is None else words("cli.months", months=_months(left, lang)),
            share=rate(Decimal(tree["share"]), lang),
            stretched=""
            if factor is None
            else words("cli.stretched", factor=number(Decimal(factor), lang, decimals=3)),
        ),
        "",
        *columns(
            [
                (words("cli.backfill"), words("cli.months_without")),
                *(
                    (
                        percent(Decimal(row["backfill"]), lang, decimals=0),
                        never
                        if row["months_without"] is None
                        else _months(row["months_without"], lang),
                    )
                    for row in tree["by_backfill"]
                ),
            ],
            right=[False, True],
        ),
    ]
    owed = tree["still_owed"]
    if owed is not None:
        lines += ["", *_owed(tree, lang)]
    if tree["within_months"] is not None:
        months, part = _months(tree["within_months"], lang), tree["break_even_backfill"]
        lines += [
            "",
            words("cli.break_even_none", months=months)
            if part is None
            else words("cli.break_even", months=months, part=percent(Decimal(part), lang)),
        ]
    return "\n".join(lines)


def _owed(tree: dict[str, Any], lang: Lang) -> list[str]:
    """Payback where what the leaver still owes is counted, in the same rows."""
    words, owed = catalogue("capacity", lang), tree["still_owed"]

    def months(value: str | None) -> str:
        return words("cli.never") if value is None else _months(value, lang)

    left = owed["months_without"]
    lines = [
        words(
            "cli.owed",
            amount=money(Money(_minor(owed["amount"], tree["currency"]), tree["currency"]), lang),
            months=_months(owed["months"], lang),
            notice=_months(owed["notice_months"], lang),
            left=words("cli.never")
            if left is None
            else words("cli.months", months=_months(left, lang)),
        ),
        "",
        *columns(
            [
                (words("cli.backfill"), words("cli.months_without_owed")),
                *(
                    (
                        percent(Decimal(row["backfill"]), lang, decimals=0),
                        months(row["months_without"]),
                    )
                    for row in owed["by_backfill"]
                ),
            ],
            right=[False, True],
        ),
    ]
    part = owed["break_even_backfill"]
    if tree["within_months"] is not None and part is not None:
        within = _months(tree["within_months"], lang)
        part = percent(Decimal(part), lang)
        lines += ["", words("cli.break_even_owed", months=within, part=part)]
    return lines


def _minor(amount: str, currency: str) -> int:
    return int(Decimal(amount).scaleb(exponent(currency)))


def _months(text_: str, lang: Lang) -> str:
    return number(Decimal(text_), lang, decimals=1)
