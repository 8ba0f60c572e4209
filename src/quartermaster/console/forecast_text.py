"""The forecast in words, rows and one picture: German and English."""

from decimal import Decimal

from quartermaster.console.figures_forecast import Ahead, Known, fan_chart
from quartermaster.console.format import (
    EM_DASH,
    Lang,
    money_compact,
    money_range,
    month,
    month_long,
    number,
    percent,
)
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.console.svg import WIDTH_PX
from quartermaster.console.text_columns import columns
from quartermaster.kernel.money import EXACT, Money
from quartermaster.revenue.book import Book
from quartermaster.revenue.forecast import Forecast
from quartermaster.revenue.judged import Coverage, Fan, Point

_STRETCHED = "~"


def text(book: Book, found: Forecast, lang: Lang) -> str:
    """Finding first, then the months, the customers, and what it rests on."""
    words = catalogue("forecast", lang)
    head = [words("title", span=span(book, words, lang))]
    if book.sample:
        head.append(words("sample"))
    if book.missing:
        head.append(words("missing", months=", ".join(month(m, lang) for m in book.missing)))
    blocks = [
        head,
        _findings(book, found, words, lang),
        _months(book, found, words, lang),
        _customers(book, found, words, lang),
        _notes(book, found, words, lang),
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks)


def figure(book: Book, found: Forecast, lang: Lang, *, width: int = WIDTH_PX) -> str:
    """The fan as SVG."""
    words = catalogue("forecast", lang)
    customer = found.without.name if found.without else ""
    gone = book.series[customer] if customer else [0] * len(book.months)
    desc = words(
        "desc",
        last=month_long(book.ahead[-1], lang),
        amount=_money(found.whole.points[-1].minor, book, lang),
    )
    if found.without is not None:
        last = _money(found.without.points[-1].minor, book, lang)
        desc += " " + words("desc_without", customer=customer, amount=last)
    notes = [words("shaded", level=_part(found.level, lang))]
    if book.sample:
        notes.append(words("sample"))
    return fan_chart(
        [
            Known(period, total, total - less if customer else None)
            for period, total, less in zip(book.months, book.totals, gone, strict=True)
        ],
        _ahead(book, found.whole),
        _ahead(book, found.without) if found.without else (),
        title=words("title", span=span(book, words, lang)),
        desc=desc,
        label=words("all"),
        label_without=words("without", customer=customer) if customer else "",
        lang=lang,
        currency=book.currency,
        width=width,
        note=" ".join(notes),
    )


def span(book: Book, words: Words, lang: Lang) -> str:
    """The months ahead: one alone, or the first and the last."""
    first, last = month(book.ahead[0], lang), month(book.ahead[-1], lang)
    return first if first == last else words("span", first=first, last=last)


def _ahead(book: Book, fan: Fan) -> list[Ahead]:
    return [
        Ahead(period, point.minor, point.low, point.high)
        for period, point in zip(book.ahead, fan.points, strict=True)
    ]


def _findings(book: Book, found: Forecast, words: Words, lang: Lang) -> list[str]:
    whole = found.whole.total
    lines = [
        words(
            "finding",
            span=span(book, words, lang),
            amount=_money(whole.minor, book, lang),
            interval=_interval(whole, book, found, words, lang),
        )
    ]
    if found.without is not None:
        left = found.without.total
        gap = whole.minor - left.minor
        share = EXACT.divide(Decimal(gap), Decimal(whole.minor)) if whole.minor else Decimal(0)
        lines.append(
            words(
                "finding_without",
                customer=found.without.name,
                amount=_money(left.minor, book, lang),
                interval=_interval(left, book, found, words, lang),
                gap=_money(gap, book, lang),
                share=percent(share, lang),
            )
        )
        if found.without.owed:
            owed = _money(found.without.owed, book, lang)
            lines.append(words("still_owed", customer=found.without.name, amount=owed))
    lines += _bound(book, found, words, lang)
    lines.append(_held(found.whole.coverage, found, words, lang))
    return lines


def _bound(book: Book, found: Forecast, words: Words, lang: Lang) -> list[str]:
    """How many owe a least amount ahead, and what that adds."""
    who = {
        name
        for name, floors in book.floors.items()
        if any(floor.minor and floor.last >= len(book.months) for floor in floors)
    }
    if not who:
        return []
    amount = _money(found.whole.topped_up, book, lang)
    names = (
        next(iter(who)) if len(who) == 1 else words("several_bound", count=number(len(who), lang))
    )
    return [words("bound", customers=names, amount=amount)]


def _held(coverage: Coverage | None, found: Forecast, words: Words, lang: Lang) -> str:
    if coverage is None:
        return words("held_none")
    return words(
        "held",
        level=_part(found.level, lang),
        hits=number(coverage.hits, lang),
        windows=number(coverage.windows, lang),
        rate=_part(coverage.rate, lang),
        block=number(coverage.block, lang),
        low=_part(coverage.low, lang),
        high=_part(coverage.high, lang),
    )


def _months(book: Book, found: Forecast, words: Words, lang: Lang) -> list[str]:
    head = [words("month"), words("all"), words("range")]
    fans = [found.whole]
    if found.without is not None:
        head += [words("without", customer=found.without.name), words("range")]
        fans.append(found.without)
    rows = [head]
    for at, period in enumerate(book.ahead):
        row = [month(period, lang)]
        for fan in fans:
            row += [_money(fan.points[at].minor, book, lang), _range(fan.points[at], book, lang)]
        rows.append(row)
    return columns(rows, right=[False] + [True] * (len(head) - 1))


def _customers(book: Book, found: Forecast, words: Words, lang: Lang) -> list[str]:
    rows = [[words("all"), words("range"), words("share"), words("held_short"), words("customer")]]
    whole = found.whole.total.minor
    for fan in (*found.parts, found.whole):
        share = EXACT.divide(Decimal(fan.total.minor), Decimal(whole)) if whole else Decimal(0)
        held = EM_DASH if fan.coverage is None else _part(fan.coverage.rate, lang)
        rows.append(
            [
                _money(fan.total.minor, book, lang),
                _range(fan.total, book, lang),
                percent(share, lang),
                held,
                _name(fan, words, lang),
            ]
        )
    return columns(rows, right=[True, True, True, True, False])


def _name(fan: Fan, words: Words, lang: Lang) -> str:
    if fan.pooled:
        return words("others", count=number(fan.pooled, lang))
    return fan.name or words("total")


def _notes(book: Book, found: Forecast, words: Words, lang: Lang) -> list[str]:
    lines = []
    fans = [found.whole, *found.parts, *([found.without] if found.without else [])]
    points = [point for fan in fans for point in (*fan.points, fan.total)]
    if any(point.low is not None and not point.measured for point in points):
        lines.append(words("stretched"))
    if found.without is not None:
        lines.append(words("gone", customer=found.without.name))
    lines.append(
        words(
            "method",
            origins=number(found.origins, lang),
            name=book.name,
            sha256=book.sha256,
        )
    )
    return lines


def _interval(point: Point, book: Book, found: Forecast, words: Words, lang: Lang) -> str:
    if point.low is None:
        return words("no_interval")
    return words("interval", level=_part(found.level, lang), range=_range(point, book, lang))


def _range(point: Point, book: Book, lang: Lang) -> str:
    if point.low is None or point.high is None:
        return EM_DASH
    low, high = Money(point.low, book.currency), Money(point.high, book.currency)
    return ("" if point.measured else _STRETCHED) + money_range(low, high, lang)


def _money(minor: int, book: Book, lang: Lang) -> str:
    return money_compact(Money(minor, book.currency), lang, decimals=2)


def _part(rate: float, lang: Lang) -> str:
    return percent(Decimal(str(round(rate, 4))), lang, decimals=0)
