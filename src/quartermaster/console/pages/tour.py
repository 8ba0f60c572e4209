"""A guided tour of the sample data: the whole story, one page of the console after another."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit

STOPS = (
    ("exposure", "/exposure"),
    ("what_if", "/what-if"),
    ("warning", "/warning"),
    ("case", "/cases/sample#days"),
    ("extent", "/cases/sample#extent"),
    ("cases", "/cases"),
    ("capacity", "/capacity"),
    ("report", "/report"),
)
"""Where the story goes, in its order."""


async def tour(visit: Visit) -> Response:
    """The stops, each with what to look at there; none where the console shows a real book."""
    cases, words = visit.desk.cases, catalogue("case", visit.words.lang)
    shown = None
    if cases is not None:
        shown = (await run_in_threadpool(cases.queue, visit.desk.clock())).sample
    return visit.render("tour.html", e=words, stops=STOPS if shown is not None else ())
