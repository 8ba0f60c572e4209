"""Revenue at risk for a terminal: German and English."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from quartermaster.console.format import Lang, number, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.console.text_columns import columns
from quartermaster.exposure.risk_assumptions import Assumptions

if TYPE_CHECKING:
    from quartermaster.exposure.risk_measure import Part, Risk

PARTS_SHOWN = 10
"""Rows of the table for people; the JSON has all."""
_SIZES = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def text(risk: "Risk", title: str, currency: str, lang: Lang) -> str:
    """The finding, the tail, who makes it up, and everything it hangs on."""
    words = catalogue("risk", lang)
    lines = [title, "", *_finding(risk, words), "", *_tail(risk, currency, words), ""]
    lines += _parts(risk, words)
    return "\n".join(
        [*lines, "", *assumed(risk.assumptions, words), "", *_checks(risk, currency, words)]
    )


def amount(value: float, currency: str, words: Words) -> str:
    """An amount for a table: with a unit and two decimals."""
    for size, unit in _SIZES:
        if abs(value) >= size:
            return words(
                f"unit.{unit}", number=_decimals(value / size, words.lang), currency=currency
            )
    return words("unit.one", number=_decimals(value, words.lang), currency=currency)


def share(value: float, lang: Lang, decimals: int = 0) -> str:
    """A share of one as a percentage."""
    return percent(Decimal(f"{value:.12g}"), lang, decimals=decimals)


def three(value: float, lang: Lang) -> str:
    """A rate to three significant digits."""
    return number(Decimal(f"{value:.3g}"), lang)


def assumed(assumptions: Assumptions, words: Words) -> list[str]:
    """Every assumption by its name in the file, those that nobody chose marked as defaults."""
    from quartermaster.exposure.risk_json import left_at_default

    kept = set(left_at_default(assumptions))
    lines = [words("assumed.head")]
    for name, value in _flat(msgspec.to_builtins(assumptions), ""):
        mark = "*" if name in kept else " "
        lines.append(f"  {mark} {name} = {value}")
    return lines


def _flat(value: dict[str, Any], before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, field in value.items():
        if isinstance(field, dict) and field:
            found += _flat(field, f"{before}{name}.")
        elif isinstance(field, list | tuple):
            found += [(f"{before}{name}", json.dumps(one, ensure_ascii=False)) for one in field]
        elif field != {}:
            found.append((f"{before}{name}", str(field)))
    return found


def _finding(risk: "Risk", words: Words) -> list[str]:
    top, lang = risk.top, words.lang
    return [
        words("finding.share", name=top.name, share=share(top.revenue_share, lang, 1)),
        words(
            "finding.loss",
            loss=share(top.shortfall_share, lang),
            worst=share(1 - risk.tail.quantile, lang, 2),
            months=number(risk.assumptions.horizon_months, lang),
        ),
        words(
            "finding.rates",
            hazard=three(top.hazard_per_year, lang),
            others=three(risk.assumptions.hazard_per_year.rest, lang),
        ),
        words(
            "finding.equal",
            equal_hazard=three(risk.equal_hazard_per_year, lang),
            equal=share(top.shortfall_share_at_equal_hazard, lang),
        ),
    ]


def _tail(risk: "Risk", currency: str, words: Words) -> list[str]:
    def scaled(value: float) -> str:
        return amount(value * risk.scale, currency, words)

    tail, equal = risk.tail, risk.equal_tail
    expected, shortfall = tail.expected, tail.expected_shortfall
    rows = [
        ("", "", words("tail.error"), words("tail.equal")),
        (
            words("tail.expected"),
            scaled(expected.value),
            scaled(expected.standard_error),
            scaled(equal.expected.value),
        ),
        (words("tail.var"), scaled(tail.value_at_risk), "", scaled(equal.value_at_risk)),
        (
            words("tail.shortfall"),
            scaled(shortfall.value),
            scaled(shortfall.standard_error),
            scaled(equal.expected_shortfall.value),
        ),
    ]
    plan = amount(risk.plan, currency, words)
    quantile = number(Decimal(f"{tail.quantile:.12g}"), words.lang)
    return [
        words(f"tail.against_{risk.against}"),
        words("tail.plan", plan=plan, quantile=quantile),
        *_indented(columns(rows, right=[False, True, True, True])),
    ]


def _parts(risk: "Risk", words: Words) -> list[str]:
    names = ("revenue", "shortfall", "equal", "expected", "hazard", "customer")
    rows = [tuple(words(f"parts.{name}") for name in names)]
    rows += [_part(part, words.lang) for part in risk.parts[:PARTS_SHOWN]]
    lines = columns(rows, right=[True] * 5 + [False])
    if risk.pooled:
        pooled = share(risk.pooled_share, words.lang, 1)
        lines.append(words("parts.pooled", count=number(risk.pooled, words.lang), share=pooled))
    return _indented(lines)


def _part(part: "Part", lang: Lang) -> tuple[str, ...]:
    shares = (
        part.revenue_share,
        part.shortfall_share,
        part.shortfall_share_at_equal_hazard,
        part.expected_loss_share,
    )
    return (
        *(share(value, lang, 1) for value in shares),
        three(part.hazard_per_year, lang),
        part.name,
    )


def _checks(risk: "Risk", currency: str, words: Words) -> list[str]:
    def scaled(value: float) -> str:
        return amount(value * risk.scale, currency, words)

    return [
        words("check.expected", expected=scaled(risk.checks.expected_loss)),
        words("check.shortfall", shortfall=scaled(risk.checks.expected_shortfall)),
        words(
            f"check.engine_{risk.engine}",
            scenarios=number(risk.tail.scenarios, words.lang),
            seed=str(risk.seed),
        ),
    ]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _decimals(value: float, lang: Lang) -> str:
    return number(Decimal(f"{value:.12g}"), lang, decimals=2)
