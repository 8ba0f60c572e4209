"""Findings about claims as sentences, German and English; numbers through `console.format`."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from quartermaster.console.format import Lang, money_short, month, percent
from quartermaster.exposure.claims import Claim, stated
from quartermaster.exposure.findings import Finding, Quantity
from quartermaster.exposure.scenario import Scenario
from quartermaster.kernel.money import EXACT, Money, exponent

_SMALL_SHARE = Fraction(1, 100)

WORDS: dict[Lang, dict[str, str]] = {
    "en": {
        "share_recomputed.agrees": "{payment_id}, {share_id} and {total_id} agree: {payment} a"
        " year out of {total} a year is {computed} of {of}, against the stated {stated}"
        " (which may mean {stated_range}). The hedges allow {computed_range}; {stated} would be"
        " {implied} a month.",
        "share_recomputed.contradicts": "{share_id} does not follow: {payment} a year"
        " ({payment_id}) out of {total} a year ({total_id}) is {computed} of {of}, not {stated} of"
        " {denominator}.",
        "share_recomputed.note": "In {share_id}, {denominator} cannot mean {of}: that would be"
        " {computed}, not {stated}.",
        "same_money_two_denominators": "{left} and {right} cannot both hold: {list}. The same"
        " money is not the same share of each.",
        "implied": "{share} of {of} is {money} a year",
        "share_by_denominator": "The same {money} a year ({id}) is {list}: a share says nothing"
        " without its denominator.",
        "share_of": "{share} of {of}",
        "same_figure_disagrees": "{left} says {left_figure} and {right} says {right_figure} of the"
        " same thing; no hedge reconciles them.",
        "comparison_refused.money": "{ids} are not set against each other: they differ in"
        " {reasons}.",
        "comparison_refused": "{actual_id} ({actual}, {actual_basis}) is not compared with"
        " {guidance_id} ({guidance}, {guidance_basis}): they differ in {reasons}.",
        "guidance_scored": "{actual_id} ({actual}, {actual_basis}) is {place} {guidance_id}"
        " ({guidance}).",
        "guidance_not_scorable": "{guidance_id} ({guidance}) cannot be scored: no figure on the"
        " same basis and by the same definition is claimed.",
        "guidance_not_scorable.redefined": "{guidance_id} ({guidance}) cannot be scored: the metric"
        " was redefined on {day}, and no later figure is by the old definition.",
        "asserted_comparison.refused": "{id} compares {left} ({left_figure}, {left_basis}) with"
        " {right} ({right_figure}, {right_basis}): they differ in {reasons}, and no comparable"
        " figure is claimed.",
        "asserted_comparison.contradicts": "{id} does not hold: {comparable} ({figure},"
        " {right_basis}) is the figure comparable with {right} ({right_figure}), and it is not"
        " {relation} it.",
        "asserted_comparison.agrees": "{id} holds: {comparable} ({figure}, {right_basis}) is"
        " {relation} {right} ({right_figure}).",
        "time_disagrees": "{until} says “until {month}”, {as_of} says “as of {month}”: the"
        " first ends it, the second says only when it was seen.",
        "time_disagrees.nearer": "{until} says “until {month}”, {as_of} says “as of {month}”: the"
        " first ends it, the second says only when it was seen. {nearer} is nearer to the origin.",
        "not_checked": "Nothing here can recompute or contradict: {ids}.",
        "range": "{low} to {high}",
        "and": " and ",
        "basis.": "basis not stated",
        "basis.reported": "as reported",
        "basis.constant_currency": "constant currency",
        "reason.currency": "currency",
        "reason.period": "period",
        "reason.basis": "basis",
        "reason.metric": "metric",
        "reason.metric_version": "definition of the metric",
        "place.above": "above",
        "place.upper_half": "in the upper half of",
        "place.lower_half": "in the lower half of",
        "place.low_end": "at the low end of",
        "place.below": "below",
        "relation.below": "below",
        "relation.within": "within",
        "relation.above": "above",
        "verdict.agrees": "agrees",
        "verdict.contradicts": "contradicts",
        "verdict.refused": "refused",
        "verdict.scored": "scored",
        "verdict.note": "note",
    },
    "de": {
        "share_recomputed.agrees": "{payment_id}, {share_id} und {total_id} passen zusammen:"
        " {payment} im Jahr von {total} im Jahr sind {computed} von {of}, genannt waren {stated}"
        " (was {stated_range} heißen kann). Die Wortwahl erlaubt {computed_range}; {stated} wären"
        " {implied} im Monat.",
        "share_recomputed.contradicts": "{share_id} folgt nicht: {payment} im Jahr ({payment_id})"
        " von {total} im Jahr ({total_id}) sind {computed} von {of}, nicht {stated} von"
        " {denominator}.",
        "share_recomputed.note": "In {share_id} kann {denominator} nicht {of} heißen: das wären"
        " {computed}, nicht {stated}.",
        "same_money_two_denominators": "{left} und {right} können nicht beide gelten: {list}."
        " Dasselbe Geld ist nicht von beidem derselbe Anteil.",
        "implied": "{share} von {of} sind {money} im Jahr",
        "share_by_denominator": "Dieselben {money} im Jahr ({id}) sind {list}: Ein Anteil sagt"
        " nichts ohne seinen Nenner.",
        "share_of": "{share} von {of}",
        "same_figure_disagrees": "{left} sagt {left_figure}, {right} sagt {right_figure} über"
        " dasselbe; keine Wortwahl gleicht das aus.",
        "comparison_refused.money": "{ids} werden nicht gegeneinandergestellt: verschieden sind"
        " {reasons}.",
        "comparison_refused": "{actual_id} ({actual}, {actual_basis}) wird nicht mit {guidance_id}"
        " ({guidance}, {guidance_basis}) verglichen: verschieden sind {reasons}.",
        "guidance_scored": "{actual_id} ({actual}, {actual_basis}) liegt {place} {guidance_id}"
        " ({guidance}).",
        "guidance_not_scorable": "{guidance_id} ({guidance}) lässt sich nicht bewerten: Es gibt"
        " keine Zahl auf gleicher Basis und nach gleicher Definition.",
        "guidance_not_scorable.redefined": "{guidance_id} ({guidance}) lässt sich nicht bewerten:"
        " Die Kennzahl wurde am {day} neu definiert, und keine spätere Zahl folgt der alten"
        " Definition.",
        "asserted_comparison.refused": "{id} vergleicht {left} ({left_figure}, {left_basis}) mit"
        " {right} ({right_figure}, {right_basis}): verschieden sind {reasons}, und eine"
        " vergleichbare Zahl ist nicht genannt.",
        "asserted_comparison.contradicts": "{id} gilt nicht: Mit {right} ({right_figure})"
        " vergleichbar ist {comparable} ({figure}, {right_basis}), und das liegt nicht"
        " {relation}.",
        "asserted_comparison.agrees": "{id} gilt: {comparable} ({figure}, {right_basis}) liegt"
        " {relation}, gemessen an {right} ({right_figure}).",
        "time_disagrees": "{until} sagt „bis {month}“, {as_of} sagt „Stand {month}“: Das erste"
        " beendet es, das zweite sagt nur, wann es gesehen wurde.",
        "time_disagrees.nearer": "{until} sagt „bis {month}“, {as_of} sagt „Stand {month}“: Das"
        " erste beendet es, das zweite sagt nur, wann es gesehen wurde. {nearer} ist näher am"
        " Ursprung.",
        "not_checked": "Hier lässt sich nicht nachrechnen oder widerlegen: {ids}.",
        "range": "{low} bis {high}",
        "and": " und ",
        "basis.": "Basis nicht genannt",
        "basis.reported": "wie berichtet",
        "basis.constant_currency": "währungsbereinigt",
        "reason.currency": "Währung",
        "reason.period": "Zeitraum",
        "reason.basis": "Basis",
        "reason.metric": "Kennzahl",
        "reason.metric_version": "Definition der Kennzahl",
        "place.above": "über",
        "place.upper_half": "in der oberen Hälfte von",
        "place.lower_half": "in der unteren Hälfte von",
        "place.low_end": "am unteren Rand von",
        "place.below": "unter",
        "relation.below": "darunter",
        "relation.within": "darin",
        "relation.above": "darüber",
        "verdict.agrees": "passt",
        "verdict.contradicts": "Widerspruch",
        "verdict.refused": "abgelehnt",
        "verdict.scored": "bewertet",
        "verdict.note": "Hinweis",
    },
}


def verdict_word(finding: Finding, lang: Lang) -> str:
    """The verdict in the reader's language."""
    return WORDS[lang][f"verdict.{finding.verdict}"]


def sentence(finding: Finding, scenario: Scenario, lang: Lang) -> str:
    """The finding in one or two sentences."""
    key, fields = _FIELDS[finding.kind](finding, scenario, lang)
    return WORDS[lang][key].format(**fields)


_Fields = tuple[str, dict[str, str]]


def _share_recomputed(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    payment, share, total = finding.claims
    computed, said = finding.quantity("computed"), finding.quantity("stated")
    return f"share_recomputed.{finding.verdict}", {
        "payment_id": payment,
        "share_id": share,
        "total_id": total,
        "payment": _figure(finding.quantity("payment"), lang),
        "total": _figure(finding.quantity("total"), lang),
        "computed": _figure(computed, lang),
        "computed_range": _range(computed, lang),
        "stated": _figure(said, lang),
        "stated_range": _range(said, lang),
        "implied": _figure(finding.quantity("implied_payment"), lang),
        "of": scenario.scope_by_id[computed.of].words,
        "denominator": scenario.scope_by_id[said.of].words,
    }


def _two_denominators(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    items = []
    for quantity in finding.quantities:
        share = scenario.claim_by_id[quantity.claim]
        items.append(
            WORDS[lang]["implied"].format(
                share=_percent(stated(share).middle, lang),
                of=scenario.scope_by_id[quantity.of].words,
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
        WORDS[lang]["share_of"].format(
            share=_figure(quantity, lang), of=scenario.scope_by_id[quantity.of].words
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
        "place": WORDS[lang].get(f"place.{finding.detail}", ""),
    }


def _not_scorable(finding: Finding, scenario: Scenario, lang: Lang) -> _Fields:
    del scenario
    key = "guidance_not_scorable.redefined" if finding.detail else "guidance_not_scorable"
    return key, {
        "guidance_id": finding.claims[0],
        "guidance": _range(finding.quantity("guidance"), lang),
        "day": finding.detail,
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
        "relation": WORDS[lang][f"relation.{finding.detail}"],
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


def _basis(claim: Claim, lang: Lang) -> str:
    return WORDS[lang][f"basis.{claim.basis}"]


def _reasons(finding: Finding, lang: Lang) -> str:
    return WORDS[lang]["and"].join(WORDS[lang][f"reason.{reason}"] for reason in finding.reasons)


def _figure(quantity: Quantity, lang: Lang) -> str:
    return _value(quantity.point, quantity.unit, lang)


def _range(quantity: Quantity, lang: Lang) -> str:
    low, high = (_value(end, quantity.unit, lang) for end in (quantity.low, quantity.high))
    return low if low == high else WORDS[lang]["range"].format(low=low, high=high)


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
