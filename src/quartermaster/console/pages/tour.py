"""A guided tour of the sample data: the whole story, one page of the console after another."""

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
    """The stops, each with what to look at there."""
    words = catalogue("case", visit.words.lang)
    return visit.render("tour.html", e=words, stops=STOPS)
