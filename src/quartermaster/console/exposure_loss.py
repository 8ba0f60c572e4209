"""The loss on the exposure page: no share of it without its rates, horizon and quantile."""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec
from markupsafe import Markup

from quartermaster.console.figures_loss import LossBar, loss_bars
from quartermaster.console.format import EM_DASH, Lang, money_short, number, percent
from quartermaster.console.language import Words
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_exposure import Asked, ExposureFacts, Loss, LossPart
from quartermaster.console.report_words import refusal
from quartermaster.kernel.money import Money

_PLACES = Decimal("0.0001")


class LossRow(msgspec.Struct, frozen=True):
    """One customer of the table; `kind` is the class of the row."""

    name: str
    revenue: str
    loss: str
    equal: str
    amount: str
    hazard: str
    kind: str


class LossView(msgspec.Struct, frozen=True):
    """The section: either a picture with its table, or why there is none."""

    conditions: str
    caption: str = ""
    """Of the table, with the conditions again: a table is copied without what stands above it."""
    missing: str = ""
    command: str = ""
    """What to type, where something is to be installed."""
    picture: Picture | None = None
    rows: tuple[LossRow, ...] = ()
    total: LossRow | None = None
    notes: tuple[str, ...] = ()


def rate(share: Decimal, lang: Lang) -> str:
    """A rate or an edge as a percentage with the digits that it has, at most two."""
    places = -int((share.quantize(_PLACES).normalize()).as_tuple().exponent) - 2
    return percent(share, lang, decimals=max(0, places))


def asked_words(facts: ExposureFacts, words: Words) -> str:
    """Rates, horizon and quantile in one sentence, as they stand beside every share of the loss."""
    return words("loss.conditions", **_places(facts.asked, words))


def finding(facts: ExposureFacts, loss: Loss, words: Words) -> str:
    """The share of the loss with everything it hangs on, and the one at equal rates."""
    return words(
        "finding.loss",
        **_places(facts.asked, words),
        share=percent(loss.asked.loss_share, words.lang, decimals=0),
        equal=rate(loss.equal_hazard, words.lang),
        equal_share=percent(loss.asked.loss_share_at_equal_hazard, words.lang, decimals=0),
    )


def tiles(facts: ExposureFacts, loss: Loss, words: Words) -> list[Tile]:
    """The share of the loss, and the expected shortfall."""
    currency, lang = facts.currency, words.lang
    short = _short(facts.asked, words)
    equal = percent(loss.asked.loss_share_at_equal_hazard, lang, decimals=0)
    return [
        Tile(
            "loss",
            words("tile.loss", name=facts.asked.name),
            percent(loss.asked.loss_share, lang, decimals=0),
            words("tile.loss_note", conditions=short, equal=equal),
            risk=True,
        ),
        Tile(
            "shortfall",
            words("tile.shortfall"),
            money_short(Money(loss.shortfall_minor, currency), lang),
            words(
                "tile.shortfall_note",
                conditions=short,
                equal=money_short(Money(loss.shortfall_at_equal_hazard_minor, currency), lang),
            ),
        ),
    ]


def view_of(facts: ExposureFacts, words: Words, labelled: Callable[[str], str]) -> LossView:
    """The section.

    Args:
        facts: of one book.
        words: the page's catalogue.
        labelled: marks a sentence where the book is a sample.
    """
    conditions, loss = asked_words(facts, words), facts.loss
    if loss is None:
        missing = words(f"loss.{facts.loss_missing}", reason=refusal(facts.loss_reason, words.lang))
        command = facts.loss_reason if facts.loss_missing == "not_installed" else ""
        return LossView(conditions, missing=missing, command=command)
    caption = labelled(f"{finding(facts, loss, words)} {words('loss.caption')}")
    whole = Decimal(1)
    total = LossPart(
        group="",
        name=words("shares.total"),
        revenue_share=whole,
        loss_share=whole,
        loss_share_at_equal_hazard=whole,
        contribution_minor=loss.shortfall_minor,
        hazard=None,
    )
    return LossView(
        conditions,
        caption=words("loss.table", conditions=_short(facts.asked, words)),
        picture=_picture(facts, loss, words, caption),
        rows=tuple(_row(part, facts, words) for part in _all(loss, words)),
        total=_row(total, facts, words),
        notes=_notes(facts, loss, words),
    )


def _all(loss: Loss, words: Words) -> list[LossPart]:
    if loss.others is None:
        return list(loss.parts)
    name = words("shares.others", count=number(loss.others.count, words.lang))
    return [*loss.parts, msgspec.structs.replace(loss.others, name=name)]


def _picture(facts: ExposureFacts, loss: Loss, words: Words, caption: str) -> Picture:
    lang = words.lang
    bars = [
        LossBar(
            label=part.name,
            revenue=part.revenue_share,
            loss=part.loss_share,
            equal=part.loss_share_at_equal_hazard,
            revenue_text=percent(part.revenue_share, lang),
            loss_text=percent(part.loss_share, lang),
            equal_text=percent(part.loss_share_at_equal_hazard, lang),
            kind=_kind(part, facts.asked),
        )
        for part in _all(loss, words)
    ]
    legend = (
        words("loss.legend_revenue"),
        words("loss.legend_loss", conditions=_short(facts.asked, words)),
        words("loss.legend_equal", equal=rate(loss.equal_hazard, lang)),
    )
    wide, phone = (
        # The figure escapes every word it is given.
        Markup(  # noqa: S704
            loss_bars(
                bars,
                legend=legend,
                title=words("loss.title"),
                desc=caption,
                width=width,
                name=f"loss-{width}",
            )
        )
        for width in (WIDE_PX, PHONE_PX)
    )
    return Picture(wide, phone, caption)


def _kind(part: LossPart, asked: Asked) -> Literal["asked", "named", "rest"]:
    if not part.group:
        return "rest"
    return "asked" if part.group == asked.customer else "named"


def _row(part: LossPart, facts: ExposureFacts, words: Words) -> LossRow:
    lang = words.lang
    kind = {"asked": "largest"}.get(_kind(part, facts.asked), _kind(part, facts.asked))
    return LossRow(
        part.name,
        percent(part.revenue_share, lang),
        percent(part.loss_share, lang),
        percent(part.loss_share_at_equal_hazard, lang),
        money_short(Money(part.contribution_minor, facts.currency), lang),
        EM_DASH if part.hazard is None else rate(part.hazard, lang),
        kind,
    )


def _notes(facts: ExposureFacts, loss: Loss, words: Words) -> tuple[str, ...]:
    lang = words.lang

    def short(minor: int) -> str:
        return money_short(Money(minor, facts.currency), lang)

    return (
        words(
            "loss.amounts",
            plan=short(loss.plan_minor),
            expected=short(loss.expected_minor),
            shortfall=short(loss.shortfall_minor),
            error=short(loss.shortfall_error_minor),
            equal=short(loss.shortfall_at_equal_hazard_minor),
        ),
        words(
            "loss.terms",
            notice=number(loss.notice_months, lang, decimals=0),
            ramp=number(loss.ramp_months, lang, decimals=0),
            backfill=percent(loss.backfill_share, lang, decimals=0),
            commitments=words("loss.commitments", count=number(loss.bound, lang))
            if loss.bound
            else words("loss.no_commitments"),
        ),
        words(
            f"loss.engine_{loss.engine}",
            scenarios=number(loss.scenarios, lang),
            seed=str(loss.seed),
        ),
    )


def _places(asked: Asked, words: Words) -> dict[str, str]:
    lang = words.lang
    return {
        "name": asked.name,
        "hazard": rate(asked.hazard, lang),
        "others": rate(asked.others, lang),
        "months": number(asked.horizon_months, lang),
        "quantile": rate(asked.quantile, lang),
        "worst": rate(1 - asked.quantile, lang),
    }


def _short(asked: Asked, words: Words) -> str:
    return words("loss.short", **_places(asked, words))
