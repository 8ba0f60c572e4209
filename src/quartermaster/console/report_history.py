"""The largest share over time: its sentences and its figure."""

import msgspec

from quartermaster.console.figures_exposure import ShareEdge, ShareMonth, share_over_time
from quartermaster.console.format import month, number, percent
from quartermaster.console.language import Words
from quartermaster.console.report_bands import edge_words
from quartermaster.console.report_words import percent_words, statistic
from quartermaster.exposure.history import INTERVAL_MONTHS_MIN, ShareHistory, SharePoint
from quartermaster.exposure.report import Report

LEADERS_MAX = 6
"""More names in a sentence are not read; all are in the JSON."""


class HistoryView(msgspec.Struct, frozen=True):
    """The section as strings: what the line shows, and what its band means."""

    caption: str
    interval: str


def history_view(report: Report, words: Words) -> HistoryView | None:
    """The section; None where there are too few months for two windows."""
    history = report.history
    if history is None:
        return None
    return HistoryView(_caption(history, words), _interval(history, words))


def history_figure(report: Report, words: Words, *, width: int, name: str) -> str:
    """The line of the largest share, its intervals and the edges of the bands, as SVG."""
    history = report.history
    assert history is not None, "the page asks for it where there is one"
    edges: list[ShareEdge] = []
    if report.bands is not None:
        rules, lang = report.bands.rules.edges, words.lang
        for key, edge, shown in zip(
            ("report", "breach"),
            (rules.report_at, rules.breach_at),
            edge_words(rules, lang),
            strict=True,
        ):
            edges.append(ShareEdge(float(edge), words(f"history.{key}_line", ratio=shown)))
    return share_over_time(
        [_month(point, words) for point in history.points],
        edges=edges,
        title=words("history.title"),
        desc=_caption(history, words),
        lang=words.lang,
        width=width,
        name=name,
    )


def _month(point: SharePoint, words: Words) -> ShareMonth:
    lang, share = words.lang, percent_words(statistic(point.share), words.lang)
    places = {"last": month(point.last, lang), "group": _name(point.group, words), "share": share}
    if point.low is None or point.high is None:
        hint = words("history.point", **places)
    else:
        low, high = (percent_words(statistic(end), lang) for end in (point.low, point.high))
        hint = words("history.point_interval", **places, low=low, high=high)
    return ShareMonth(point.last, point.share, point.low, point.high, hint)


def _name(group: str, words: Words) -> str:
    return group or words("shares.unstated")


def _caption(history: ShareHistory, words: Words) -> str:
    lang, points = words.lang, history.points
    least = min(points, key=lambda point: point.share)
    most = max(points, key=lambda point: point.share)
    leaders = [_name(group, words) for group in history.leaders]
    who = (
        words("history.one", group=leaders[0])
        if len(leaders) == 1
        else words("history.several", groups=", ".join(leaders[:LEADERS_MAX]))
    )
    said = words(
        "history.caption",
        months=number(history.window_months, lang),
        now=percent_words(statistic(points[-1].share), lang),
        low=percent_words(statistic(least.share), lang),
        low_month=month(least.last, lang),
        high=percent_words(statistic(most.share), lang),
        high_month=month(most.last, lang),
        first=month(points[0].last, lang),
    )
    return f"{said} {who}"


def _interval(history: ShareHistory, words: Words) -> str:
    last = history.points[-1]
    if last.low is None or last.high is None:
        return words("history.no_interval", months=number(INTERVAL_MONTHS_MIN, words.lang))
    return words(
        "history.interval",
        level=percent(statistic(history.level), words.lang, decimals=0),
        low=percent_words(statistic(last.low), words.lang),
        high=percent_words(statistic(last.high), words.lang),
    )
