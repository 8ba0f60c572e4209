"""The answer of `quartermaster payback` in words and rows: German and English."""

from decimal import Decimal
from typing import Any

from quartermaster.console.exposure_loss import rate
from quartermaster.console.format import Lang, number, percent
from quartermaster.console.report_words import catalogue
from quartermaster.console.text_columns import columns


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
    if tree["within_months"] is not None:
        months, part = _months(tree["within_months"], lang), tree["break_even_backfill"]
        lines += [
            "",
            words("cli.break_even_none", months=months)
            if part is None
            else words("cli.break_even", months=months, part=percent(Decimal(part), lang)),
        ]
    return "\n".join(lines)


def _months(text_: str, lang: Lang) -> str:
    return number(Decimal(text_), lang, decimals=1)
