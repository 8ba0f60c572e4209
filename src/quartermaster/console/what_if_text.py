"""What one change would do, for a terminal: German and English."""

from decimal import Decimal
from typing import TYPE_CHECKING

from quartermaster.console.format import Lang, number
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.console.risk_text import amount, assumed, share, three
from quartermaster.console.what_if_words import change_words

if TYPE_CHECKING:
    from quartermaster.exposure.risk_levers import Effect, WhatIf


def text(found: "WhatIf", title: str, currency: str, lang: Lang) -> str:
    """The book as it stands, each change, and everything they hang on."""
    words, risk = catalogue("what_if", lang), catalogue("risk", lang)
    quantile = number(Decimal(f"{found.assumptions.quantile:.12g}"), lang)
    lines = [
        words("cli.against", months=number(found.assumptions.horizon_months, lang)),
        words(
            "cli.quantile",
            quantile=quantile,
            top=found.top,
            hazard=three(found.top_hazard_per_year, lang),
        ),
        words(
            "cli.others",
            others=three(found.assumptions.hazard_per_year.rest, lang),
            equal=three(found.equal_hazard_per_year, lang),
        ),
        "",
        *_effect(found.base, currency, words, risk, base=True),
    ]
    for effect in found.effects:
        lines += _effect(effect, currency, words, risk)
    lines += [
        "",
        words("cli.last", scenarios=number(found.scenarios, lang), seed=str(found.seed)),
    ]
    if found.pooled:
        lines.append(words("cli.pooled", pooled=number(found.pooled, lang)))
    return "\n".join([title, "", *lines, "", *assumed(found.assumptions, risk)])


def _effect(
    effect: "Effect", currency: str, words: Words, risk: Words, *, base: bool = False
) -> list[str]:
    def short(value: float) -> str:
        return amount(value, currency, risk)

    change, lang = effect.change, words.lang
    figures = {name: Decimal(f"{value:.12g}") for name, value in change.figures.items()}
    world = words(
        "cli.world",
        shortfall=short(effect.expected_shortfall.value),
        share=share(effect.top_shortfall_share, lang),
        equal=share(effect.top_shortfall_share_at_equal_hazard, lang),
        expected=short(effect.expected_loss.value),
    )
    lines = [change_words(change.key, change.who, figures, words), f"  {world}"]
    if base:
        return lines
    moved, mean = effect.shortfall_difference, effect.expected_loss_difference
    differs = words(
        "cli.change",
        moved=short(moved.value),
        error=short(moved.standard_error),
        mean=short(mean.value),
        mean_error=short(mean.standard_error),
    )
    lines.append(f"  {differs}")
    if effect.shortfall_cut_per_cost is not None:
        cut = number(Decimal(f"{effect.shortfall_cut_per_cost:.12g}"), lang, decimals=2)
        cost = short(change.cost or 0.0)
        lines.append("  " + words("cli.per_cost", cost=cost, cut=cut))
    return lines
