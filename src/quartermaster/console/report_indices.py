"""The indices of the exposure report in words: each with its value and what it means."""

import math

import msgspec

from quartermaster.console.format import number
from quartermaster.console.language import Words
from quartermaster.console.report_words import percent_words, statistic
from quartermaster.exposure.concentration import HHI_POINTS
from quartermaster.exposure.report import Report

# HHI points are read as whole numbers; among thousands of small customers only the decimal is left.
_WHOLE_POINTS = 100


class Entry(msgspec.Struct, frozen=True):
    """A name, its value, and what it means."""

    label: str
    value: str
    definition: str = ""


def indices(report: Report, denominator: str, words: Words) -> list[Entry]:
    """Every index, and who reaches 10 % where customers are ranked."""
    exposure, lang = report.exposure, words.lang
    found = exposure.concentration
    of_customers = exposure.by == "group"
    entries = [
        Entry(
            words(f"by_many.{exposure.by}"),
            number(found.count, lang),
            words("index.customers_definition") if of_customers else "",
        ),
        *_hhi_entries(report, words),
        Entry(
            words("index.effective" if of_customers else "index.effective_other"),
            number(statistic(found.effective_number), lang, decimals=1),
            words("index.effective_definition"),
        ),
        Entry(
            words("index.ratios"),
            " · ".join(
                words(
                    "index.ratio",
                    count=number(count, lang),
                    share=percent_words(statistic(ratio), lang),
                )
                for count, ratio in found.ratios or ((1, 1.0),)
            ),
            words("index.ratios_definition", denominator=denominator),
        ),
        Entry(
            words("index.gini"),
            number(statistic(found.gini), lang, decimals=2),
            words("index.gini_definition"),
        ),
        Entry(
            words("index.theil"),
            number(statistic(found.theil), lang, decimals=2),
            words(
                "index.theil_definition",
                most=number(statistic(math.log(found.count)), lang, decimals=2),
            ),
        ),
    ]
    if of_customers:
        names = [group.group for group in report.reportable]
        reached = Entry(
            words("index.reportable", denominator=denominator),
            ", ".join(names) or words("index.reportable_none"),
            words("index.reportable_definition"),
        )
        entries.insert(0, reached)
    return entries


def _hhi_entries(report: Report, words: Words) -> list[Entry]:
    found, bounds, lang = (
        report.exposure.concentration,
        report.exposure.hhi_bounds,
        words.lang,
    )

    def value(key: str, fraction: float) -> str:
        points = statistic(fraction * HHI_POINTS)
        shown = number(points, lang, decimals=0 if points >= _WHOLE_POINTS else 1)
        return words(key, points=shown, fraction=number(statistic(fraction), lang, decimals=4))

    normalised = found.hhi_normalised
    entries = [
        Entry(
            words("index.hhi"), value("index.hhi_value", found.hhi), words("index.hhi_definition")
        ),
        Entry(
            words("index.normalised"),
            words("index.undefined")
            if normalised is None
            else value("index.normalised_value", normalised),
            words("index.normalised_definition"),
        ),
    ]
    if bounds is not None:
        low, high = (number(statistic(end * HHI_POINTS), lang, decimals=0) for end in bounds)
        fill = Entry(
            words("index.bounds"),
            words("index.bounds_value", low=low, high=high),
            words("index.bounds_definition"),
        )
        entries.insert(1, fill)
    return entries
