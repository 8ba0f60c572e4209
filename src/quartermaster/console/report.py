"""The exposure report in pictures: one SVG, and one HTML page that stands alone.

No script, no request, its own light and dark colours, and it prints on A4.
"""

from collections.abc import Sequence
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from quartermaster.console import figures
from quartermaster.console.figures import ShareSegment
from quartermaster.console.figures_exposure import lorenz_curve
from quartermaster.console.format import Lang, number
from quartermaster.console.report_history import history_figure
from quartermaster.console.report_view import (
    banners_of,
    denominator_words,
    lorenz_words,
    name_of,
    share_of,
    share_words,
    view_of,
)
from quartermaster.console.report_words import catalogue
from quartermaster.exposure.report import Report

SEGMENTS_NAMED = 5
"""Tones that can still be told apart."""
REPORT_PX = 720
"""Inner width of an A4 page at 96 px an inch."""
PHONE_PX = 350
"""Inner width of the page on a phone of 390 px."""
_HISTORY_FIGURES = (
    ("desk", REPORT_PX, "share-over-time"),
    ("phone", PHONE_PX, "share-over-time-phone"),
)


def share_figure(
    report: Report, lang: Lang, *, width: int = REPORT_PX, name: str = "share-bar"
) -> str:
    """One bar of revenue by customer, as SVG; `name` is unique on its page."""
    words = catalogue("report", lang)
    exposure = report.exposure
    denominator = denominator_words(exposure.denominator, words)
    named = exposure.groups[: SEGMENTS_NAMED + 1]
    segments = [
        ShareSegment(
            label=name_of(group, words),
            value=group.minor,
            share=share_of(group.minor, report),
            kind="named" if position else "largest",
        )
        for position, group in enumerate(named)
    ]
    rest = exposure.groups[len(named) :]
    if rest:
        minor = sum(group.minor for group in rest)
        label = words("shares.rest", count=number(len(rest), lang))
        segments.append(ShareSegment(label, minor, share_of(minor, report), "rest"))
    return figures.share_bar(
        segments,
        title=words(f"by_title.{exposure.by}"),
        desc=share_words(report, denominator, words),
        lang=lang,
        currency=exposure.denominator.currency,
        width=width,
        note=" ".join(banners_of(report, words, short=True)),
        name=name,
    )


def lorenz_figure(report: Report, lang: Lang) -> str:
    """The Lorenz curve, as SVG."""
    words = catalogue("report", lang)
    return lorenz_curve(
        report.lorenz,
        title=words("lorenz.title"),
        desc=lorenz_words(report, words),
        x_label=words("lorenz.x"),
        y_label=words("lorenz.y"),
        equality=words("lorenz.equality"),
    )


def page(report: Report, lang: Lang, claim_findings: Sequence[tuple[str, str]] = ()) -> str:
    """The report as one self-contained HTML page.

    Args:
        report: what to show.
        lang: language of words and numbers.
        claim_findings: verdict and sentence of each finding about the report's claims.
    """
    words = catalogue("report", lang)
    view = view_of(report, lang)
    titles = {source.id: source for source in report.sources}
    return (
        environment()
        .get_template("report.html")
        .render(
            view=view,
            words=words,
            stylesheet=Markup(figures.stylesheet()),  # noqa: S704 - our own file
            share_figure=Markup(share_figure(report, lang)),  # noqa: S704 - escaped by console.svg
            share_figure_phone=Markup(  # noqa: S704 - escaped by console.svg
                share_figure(report, lang, width=PHONE_PX, name="share-bar-phone")
            ),
            share_caption=share_words(report, view.denominator, words),
            history_figures=[
                (shown, Markup(history_figure(report, words, width=width, name=name)))  # noqa: S704 - escaped by console.svg
                for shown, width, name in _HISTORY_FIGURES
                if report.history is not None
            ],
            lorenz_figure=Markup(lorenz_figure(report, lang))  # noqa: S704 - escaped by console.svg
            if report.exposure.by == "group"
            else None,
            lorenz_caption=lorenz_words(report, words),
            claims=report.claims,
            sources=report.sources,
            source_by_id=titles,
            claim_findings=claim_findings,
        )
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates of pages that stand alone."""
    return Environment(
        loader=PackageLoader("quartermaster.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
