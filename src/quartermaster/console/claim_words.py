"""Findings about claims as sentences; the words are in `locale/claims.<lang>.toml`."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction

from quartermaster.console.format import Lang, day, money_short, month, percent
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.exposure.claims import Claim, stated
from quartermaster.exposure.findings import Finding, Quantity
from quartermaster.exposure.scenario import Scenario
from quartermaster.kernel.money import EXACT, Money, exponent

_SMALL_SHARE = Fraction(1, 100)


def verdict_word(finding: Finding, lang: Lang) -> str:
    """The verdict in the reader's language."""
    return _words(lang)(f"verdict.{finding.verdict}")


def sentence(finding: Finding, scenario: Scenario, lang: Lang) -> str:
    """The finding in one or two sentences."""
    key, fields = _FIELDS[finding.kind](finding, scenario, lang)
    return _words(lang)(key, **fields)


_Fields = tuple[str, dict[str, str]]


def _share_recomputed(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    *paid, share, total = finding.claims
    computed, said = finding.quantity("computed"), finding.quantity("stated")
    variant = "at_least" if finding.detail == "at_least" else finding.verdict
    return f"share_recomputed.{variant}", {
        "payment_id": " + ".join(paid),
        "share_id": share,
        "total_id": total,
        "payment": _figure(finding.quantity("payment"), lang),
        "total": _figure(finding.quantity("total"), lang),
        "computed": _figure(computed, lang),
        "computed_range": _range(computed, lang),
        "stated": _figure(said, lang),
        "stated_range": _range(said, lang),
        "implied": _figure(finding.quantity("implied_payment"), lang),
        "of": _scope(scenario, computed.of, lang),
        "denominator": _scope(scenario, said.of, lang),
    }


def _two_denominators(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    items = []
    for quantity in finding.quantities:
        share = scenario.claim_by_id[quantity.claim]
        items.append(
            _words(lang)(
                "implied",
                share=_percent(stated(share).middle, lang),
                of=_scope(scenario, quantity.of, lang),
                money=_figure(quantity, lang),
            )
        )
    return "same_money_two_denominators", {
        "left": finding.claims[0],
        "right": finding.claims[1],
        "list": "; ".join(items),
    }


def _by_denominator(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    payment = scenario.claim_by_id[finding.claims[0]]
    items = [
        _words(lang)(
            "share_of", share=_figure(quantity, lang), of=_scope(scenario, quantity.of, lang)
        )
        for quantity in finding.quantities
    ]
    unit = payment.unit.partition("/")[0]
    return "share_by_denominator", {
        "money": _money(scenario.annual_stated(payment), unit, lang),
        "id": payment.id,
        "list": ", ".join(items),
    }


def _same_figure(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    del scenario
    left, right = finding.quantities
    return finding.kind, {
        "left": finding.claims[0],
        "right": finding.claims[1],
        "left_figure": _range(left, lang),
        "right_figure": _range(right, lang),
    }


def _against_guidance(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    reasons = _reasons(finding, lang)
    if not finding.quantities:
        return "comparison_refused.money", {"ids": ", ".join(finding.claims), "reasons": reasons}
    actual, guidance = (scenario.claim_by_id[claim] for claim in finding.claims)
    return finding.kind, {
        "actual_id": actual.id,
        "guidance_id": guidance.id,
        "actual": _range(finding.quantity("actual"), lang),
        "guidance": _range(finding.quantity("guidance"), lang),
        "actual_basis": _basis(actual, lang),
        "guidance_basis": _basis(guidance, lang),
        "reasons": reasons,
        "place": _words(lang)(f"place.{finding.detail}") if finding.detail else "",
    }


def _not_scorable(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    del scenario
    key = "guidance_not_scorable.redefined" if finding.detail else "guidance_not_scorable"
    return key, {
        "guidance_id": finding.claims[0],
        "guidance": _range(finding.quantity("guidance"), lang),
        "day": day(date.fromisoformat(finding.detail), lang) if finding.detail else "",
    }


def _asserted(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    left, right = (scenario.claim_by_id[claim] for claim in finding.claims[1:3])
    comparable = [quantity for quantity in finding.quantities if quantity.role == "comparable"]
    return f"asserted_comparison.{finding.verdict}", {
        "id": finding.claims[0],
        "left": left.id,
        "right": right.id,
        "left_figure": _range(finding.quantity("left"), lang),
        "right_figure": _range(finding.quantity("right"), lang),
        "left_basis": _basis(left, lang),
        "right_basis": _basis(right, lang),
        "comparable": comparable[0].claim if comparable else "",
        "figure": _range(comparable[0], lang) if comparable else "",
        "relation": _words(lang)(f"relation.{finding.detail}"),
        "reasons": _reasons(finding, lang),
    }


def _time(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    until, as_of = sorted(
        (scenario.claim_by_id[claim] for claim in finding.claims),
        key=lambda claim: claim.time != "until",
    )
    last = until.period.rpartition("/")[2]
    key = "time_disagrees.nearer" if finding.detail else "time_disagrees"
    return key, {
        "until": until.id,
        "as_of": as_of.id,
        "month": month(last, lang),
        "nearer": finding.detail,
    }


def _not_checked(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    del scenario, lang
    return "not_checked", {"ids": ", ".join(finding.claims)}


_FIELDS: dict[str, Callable[[Finding, Scenario, Lang], _Fields]] = {
    "share_recomputed": _share_recomputed,
    "same_money_two_denominators": _two_denominators,
    "share_by_denominator": _by_denominator,
    "same_figure_disagrees": _same_figure,
    "comparison_refused": _against_guidance,
    "guidance_scored": _against_guidance,
    "guidance_not_scorable": _not_scorable,
    "asserted_comparison": _asserted,
    "time_disagrees": _time,
    "not_checked": _not_checked,
}


def _words(lang: Lang) -> Words:
    return catalogue("claims", lang)


def _scope(scenario: Scenario, scope: str, lang: Lang) -> str:
    return scenario.scope_by_id[scope].said(lang)


def _basis(claim: Claim, lang: Lang) -> str:
    return _words(lang)(f"basis.{claim.basis or 'not_stated'}")


def _reasons(finding: Finding, lang: Lang) -> str:
    return _words(lang)("and").join(_words(lang)(f"reason.{reason}") for reason in finding.reasons)


def _figure(quantity: Quantity, lang: Lang) -> str:
    return _value(quantity.point, quantity.unit, lang)


def _range(quantity: Quantity, lang: Lang) -> str:
    low, high = (_value(end, quantity.unit, lang) for end in (quantity.low, quantity.high))
    return low if low == high else _words(lang)("range", low=low, high=high)


def _value(value: Fraction, unit: str, lang: Lang) -> str:
    if unit == "%":
        return _percent(value, lang)
    return _money(value, unit.partition("/")[0], lang)


def _percent(value: Fraction, lang: Lang) -> str:
    """One decimal, two under one per cent."""
    decimals = 2 if 0 < abs(value) < _SMALL_SHARE else 1
    exact = EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return percent(exact, lang, decimals=decimals)


def _money(value: Fraction, currency: str, lang: Lang) -> str:
    return money_short(Money(round(value * 10 ** exponent(currency)), currency), lang)
