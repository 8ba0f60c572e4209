"""The forecast on the board report: with and without the largest customer."""

from decimal import Decimal

from quartermaster.console.board_parts import (
    DESK_PX,
    PHONE_PX,
    Desk,
    Line,
    Section,
    Table,
    picture,
)
from quartermaster.console.figures_forecast import Ahead, Known, fan_chart
from quartermaster.console.format import EM_DASH, money_range, month, month_long, number, percent
from quartermaster.console.ports_exposure import Fan, FanMonth
from quartermaster.kernel.money import EXACT, Money

QUARTER = 3
"""The table shows the last month of each quarter ahead: the picture has every month."""


def fan_section(on: Desk, fan: Fan) -> Section:
    """The forecast: picture, quarters, sum, and what past intervals were worth."""
    words, lang = on.words, on.words.lang
    name = on.name(on.facts.report.largest)
    level = percent(fan.level, lang, decimals=0)
    gap = fan.whole_total.minor - fan.without_total.minor
    share = EXACT.divide(Decimal(gap), Decimal(fan.whole_total.minor or 1))
    bounded = fan.whole_total.low is not None and fan.without_total.low is not None
    lead = words(
        "fan.lead" if bounded else "fan.lead_bare",
        name=name,
        months=number(len(fan.months), lang),
        whole=on.short(fan.whole_total.minor),
        whole_range=_range(fan.whole_total, on),
        without=on.short(fan.without_total.minor),
        without_range=_range(fan.without_total, on),
        level=level,
        share=percent(share, lang),
    )
    held = words("fan.unchecked")
    if fan.held is not None:
        held = words(
            "fan.held", level=level, held=number(fan.held, lang), checked=number(fan.checked, lang)
        )
    caption = words("fan.caption", level=level, name=name)
    if fan.owed_minor:
        owed = words("fan.owed", name=name, amount=on.short(fan.owed_minor))
        caption = f"{caption} {owed}"
    drawn = [_figure(fan, on, name, caption, width) for width in (DESK_PX, PHONE_PX)]
    notes = [held, words("fan.gone", name=name)]
    points = (*fan.whole, *fan.without, fan.whole_total, fan.without_total)
    if any(point.low is not None and not point.measured for point in points):
        notes.append(words("fan.stretched"))
    return Section(
        id="fan",
        title=words("fan.title"),
        lead=(lead,),
        picture=picture(drawn, on.labelled(caption)),
        table=_table(fan, on, name),
        notes=tuple(notes),
    )


def no_fan_section(on: Desk) -> Section:
    """Why a scenario has no forecast: said where the forecast would stand."""
    words = on.words
    return Section(id="fan", title=words("fan.title"), lead=(words("fan.scenario"),))


def _figure(fan: Fan, on: Desk, name: str, caption: str, width: int) -> str:
    return fan_chart(
        [Known(*row) for row in fan.known],
        [_ahead(at, point) for at, point in zip(fan.months, fan.whole, strict=True)],
        [_ahead(at, point) for at, point in zip(fan.months, fan.without, strict=True)],
        title=on.words("fan.title"),
        desc=on.labelled(caption),
        label=on.words("fan.all"),
        label_without=on.words("fan.without", name=name),
        lang=on.words.lang,
        currency=on.facts.currency,
        width=width,
        name=f"fan-{width}",
    )


def _table(fan: Fan, on: Desk, name: str) -> Table:
    words = on.words
    lines = [
        _line(month(at, words.lang), whole, without, on)
        for number_, (at, whole, without) in enumerate(
            zip(fan.months, fan.whole, fan.without, strict=True), start=1
        )
        if number_ % QUARTER == 0
    ]
    total = _line(words("fan.sum"), fan.whole_total, fan.without_total, on, kind="total")
    last = month_long(fan.known[-1][0], words.lang)
    return Table(
        head=(
            words("fan.month"),
            words("fan.all"),
            words("fan.range"),
            words("fan.without", name=name),
            words("fan.range"),
        ),
        lines=(*lines, total),
        caption=words("fan.table", last=last),
    )


def _line(label: str, whole: FanMonth, without: FanMonth, on: Desk, *, kind: str = "") -> Line:
    cells = (on.short(whole.minor), _range(whole, on), on.short(without.minor), _range(without, on))
    return Line((label, *cells), kind)


def _ahead(at: str, point: FanMonth) -> Ahead:
    return Ahead(at, point.minor, point.low, point.high)


def _range(point: FanMonth, on: Desk) -> str:
    if point.low is None or point.high is None:
        return EM_DASH
    low, high = (Money(_three_digits(end), on.facts.currency) for end in (point.low, point.high))
    return ("" if point.measured else "~") + money_range(low, high, on.words.lang)


def _three_digits(minor: int) -> int:
    """Rounded to three significant digits: an interval is not known better."""
    unit = int(10 ** max(0, len(str(abs(minor))) - 3))
    return (minor + unit // 2) // unit * unit
