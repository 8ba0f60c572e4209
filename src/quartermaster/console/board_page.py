"""The board report as one HTML page that stands alone, and as the body of the console's page.

No script, no request; it follows the reader's light or dark, and prints black on white on A4.
"""

from importlib.resources import files

from markupsafe import Markup

from quartermaster.console import figures
from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.board_view import BoardView, view_of
from quartermaster.console.format import Lang
from quartermaster.console.report import environment
from quartermaster.console.report_words import catalogue

_FOOT = "font: 7.5pt sans-serif; color: #555;"


def page(facts: BoardFacts, lang: Lang) -> str:
    """The report as one self-contained HTML page; the same facts give the same bytes."""
    return page_of(view_of(facts, lang))


def page_of(view: BoardView) -> str:
    """The page of a report that is in words already."""
    # Our own files and a running line without markup of its own.
    css = Markup(figures.stylesheet() + stylesheet() + _running(view.running))  # noqa: S704
    words = catalogue("board", view.lang)
    return environment().get_template("board.html").render(view=view, words=words, stylesheet=css)


def stylesheet() -> str:
    """The report's own sheet, the same on the console's page and in the file."""
    return (files("quartermaster.console") / "static/css/board.css").read_text("utf-8")


def _running(line: str) -> str:
    """The foot of every printed page: who it is about, and the page's number."""
    escaped = "".join(
        character if character.isalnum() or character in " .,:;-" else f"\\{ord(character):06x}"
        for character in line
    )
    return (
        "@page { size: A4; margin: 14mm 15mm 16mm;"
        f' @bottom-left {{ content: "{escaped}"; {_FOOT} }}'
        f' @bottom-right {{ content: counter(page) " / " counter(pages); {_FOOT} }} }}\n'
    )
