"""What if they go? How much hangs on one customer: its state is its address."""

import asyncio
from functools import partial

import msgspec
from starlette.responses import Response

from quartermaster.console import exposure_tables, exposure_view
from quartermaster.console.exposure_state import no_such_customer, question_of
from quartermaster.console.exposure_tables import COLUMNS
from quartermaster.console.pages.downloads import download, form_asked
from quartermaster.console.ports_exposure import Question
from quartermaster.console.ports_what_if import WhatIfFacts, WhatIfQuestion
from quartermaster.console.report_words import catalogue
from quartermaster.console.visit import Desk, Visit
from quartermaster.console.what_if_pictures import (
    BridgeView,
    TornadoView,
    bridge_view,
    conditions_of,
    tornado_view,
)
from quartermaster.console.what_if_state import query_of
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import UsageError

LOADING_S = 5
"""After which a page without its loss asks again: the simulation takes about that long to load."""


async def exposure(visit: Visit) -> Response:
    """The page, or its tables as JSON or CSV.

    Raises:
        UsageError: a field of the address, the format or the table is wrong.
    """
    desk, now, query = visit.desk, visit.desk.clock(), visit.request.query_params
    words = catalogue("exposure", visit.words.lang)
    question = question_of(query, words)
    wanted = form_asked(visit)
    try:
        facts, gone = await asyncio.gather(
            visit.computed(partial(desk.exposure.exposure, question, now, wait=wanted != "html")),
            visit.computed(partial(_departure, desk, question, now, shown=wanted == "html")),
        )
    except UsageError as error:
        if error.field != "customer":
            raise
        raise no_such_customer(question.customer, words) from error
    if wanted != "html":
        rows = exposure_tables.rows_of(facts)
        document = partial(exposure_tables.as_json, facts, rows, now)
        return download(visit, wanted, document, COLUMNS, rows, name="exposure-{table}")
    page = visit.render(
        "exposure.html",
        e=words,
        page=exposure_view.view_of(facts, words, visit.words) if facts else None,
        w=catalogue("what_if", visit.words.lang),
        gone=None if gone is None else _pictures(gone, visit),
    )
    loading = gone is not None and gone.missing == "loading"
    if loading or (facts is not None and facts.loss_missing == "loading"):
        page.headers["refresh"] = str(LOADING_S)
    return page


def _departure(desk: Desk, question: Question, now: Instant, *, shown: bool) -> WhatIfFacts | None:
    """What its departure now would do, under the rates of the page: as the what-if page says it."""
    if not shown:
        return None
    asked = WhatIfQuestion(
        customer=question.customer,
        hazard=question.hazard,
        others=question.others,
        horizon_months=question.horizon_months,
        quantile=question.quantile,
    )
    return desk.what_if.what_if(asked, now)


class Gone(msgspec.Struct, frozen=True):
    """The two pictures of a departure, and where to ask on."""

    bridge: BridgeView
    tornado: TornadoView
    conditions: str
    query: str
    sample: bool


def _pictures(facts: WhatIfFacts, visit: Visit) -> Gone | None:
    if facts.bridge is None or not facts.tornado:
        return None
    words = catalogue("what_if", visit.words.lang)

    def labelled(sentence: str) -> str:
        return visit.words("sample.sentence", sentence=sentence) if facts.sample else sentence

    return Gone(
        bridge_view(facts, facts.bridge, words, labelled),
        tornado_view(facts, words, labelled),
        conditions_of(facts, words),
        query_of(facts.asked),
        facts.sample,
    )
