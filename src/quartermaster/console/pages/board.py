"""The board report of the shown book: to read, to print, and to save as PDF or as one page."""

from datetime import date
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quartermaster.console import board_page, board_text, board_view
from quartermaster.console.pages.exposure import LOADING_S
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Visit
from quartermaster.kernel.clock import as_datetime
from quartermaster.kernel.errors import UsageError

FORMATS = ("page", "html", "pdf", "json")


async def board(visit: Visit) -> Response:
    """The page, or the report as a file of its own.

    Raises:
        UsageError: another format.
        UnavailableError: nothing on this machine prints a PDF.
    """
    desk, wanted = visit.desk, visit.request.query_params.get("format", "page")
    if wanted not in FORMATS:
        raise UsageError(f"no format {wanted!r}", hint=f"one of {', '.join(FORMATS)}")
    made_on = as_datetime(desk.clock()).date()
    facts = await run_in_threadpool(partial(desk.board.board, made_on, wait=wanted != "page"))
    if wanted == "json":
        document = {} if facts is None else await run_in_threadpool(board_text.as_json, facts)
        return Response(board_text.dumped(document), media_type="application/json")
    lang = visit.words.lang
    words = catalogue("board", lang)
    view = None if facts is None else await run_in_threadpool(board_view.view_of, facts, lang)
    if wanted == "page" or view is None:
        page = visit.render("board_screen.html", b=words, view=view)
        if facts is not None and facts.risk_missing == "loading":
            page.headers["refresh"] = str(LOADING_S)
        return page
    text = await run_in_threadpool(board_page.page_of, view)
    if wanted == "html":
        return Response(text, media_type="text/html", headers=_saved(made_on, lang, "html"))
    data = await run_in_threadpool(desk.board.printed, text)
    return Response(data, media_type="application/pdf", headers=_saved(made_on, lang, "pdf"))


def _saved(made_on: date, lang: str, suffix: str) -> dict[str, str]:
    """Saved, not shown: the file carries its own styles, which a page of the console may not."""
    name = f"board-report-{made_on.isoformat()}-{lang}.{suffix}"
    return {"content-disposition": f'attachment; filename="{name}"'}
