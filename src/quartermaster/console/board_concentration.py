"""Concentration on the board report: bands with owner, date and plan, indices, and over time."""

from quartermaster.console.board_parts import (
    DESK_PX,
    PHONE_PX,
    Desk,
    Line,
    Section,
    Table,
    picture,
)
from quartermaster.console.format import number
from quartermaster.console.report_bands import BandsView, bands_view
from quartermaster.console.report_history import history_figure, history_view
from quartermaster.console.report_view import denominator_words
from quartermaster.console.report_words import percent_words, statistic
from quartermaster.exposure.concentration import HHI_POINTS

BAND_ROWS_MAX = 5
"""Where little bears a loss many are in a band; the board sees the largest, the exposure report
twelve, its JSON all."""


def sections(on: Desk) -> list[Section]:
    """Bands, indices, and the largest share over time where there are months for it."""
    found = [_bands(on)]
    report, words = on.facts.report, on.report_words
    history = history_view(report, words)
    if history is not None:
        drawn = [
            history_figure(report, words, width=width, name=f"history-{width}")
            for width in (DESK_PX, PHONE_PX)
        ]
        found.append(
            Section(
                id="history",
                title=on.words("history.title"),
                picture=picture(drawn, on.labelled(history.caption)),
                notes=(history.interval,),
            )
        )
    return found


def _bands(on: Desk) -> Section:
    report, words = on.facts.report, on.words
    denominator = denominator_words(report.exposure.denominator, on.report_words)
    view = bands_view(report, denominator, on.report_words)
    assert view is not None, "a board report is always measured against bands"
    more = len(report.bands.lines) - BAND_ROWS_MAX if report.bands is not None else 0
    notes = [_indices(on)]
    if not view.rows:
        notes.insert(0, view.rest)
    elif more > 0:
        notes.insert(0, words("bands.more", count=number(more, words.lang)))
    return Section(
        id="bands",
        title=words("bands.title"),
        lead=view.lines,
        table=_table(view, on) if view.rows else None,
        notes=tuple(notes),
    )


def _table(view: BandsView, on: Desk) -> Table:
    return Table(
        head=(on.words("shares.customer"), *view.heads, on.words("bands.decided")),
        lines=tuple(
            Line((row.group, *row.ratios, row.decided), "risk" if row.breach else "")
            for row in view.rows[:BAND_ROWS_MAX]
        ),
        words_from=1 + len(view.heads),
    )


def _indices(on: Desk) -> str:
    """The usual indices in one sentence, with what they hide."""
    words, found = on.words, on.facts.report.exposure.concentration
    lang = words.lang
    ratios = dict(found.ratios)
    count = max((at for at in ratios if at <= 4), default=1)
    return words(
        "bands.indices",
        customers=number(found.count, lang),
        count=number(count, lang),
        ratio=percent_words(statistic(ratios.get(count, 1.0)), lang),
        hhi=number(statistic(found.hhi * HHI_POINTS), lang, decimals=0),
        effective=number(statistic(found.effective_number), lang, decimals=1),
        gini=number(statistic(found.gini), lang, decimals=2),
    )
