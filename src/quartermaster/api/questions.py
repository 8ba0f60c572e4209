"""How much hangs on whom, what if they go, what lies ahead: of our books or of a file.

A GET asks one of our books; a POST of the same path sends a file and writes nothing. The answer is
the document that the command line prints with `--json`.
"""

from collections.abc import Callable
from typing import get_args

import msgspec

from quartermaster.api import asked as questions
from quartermaster.api import documents as shapes
from quartermaster.api import documents_ahead as ahead
from quartermaster.api import documents_risk as risks
from quartermaster.api.asked import BOOK_FIELDS, FILE_FIELDS, LEVER_FIELDS, Lever
from quartermaster.api.operation import (
    CSV,
    JSON_LINES,
    STAFF,
    TOML,
    TOML_BYTES_MAX,
    UPLOAD_BYTES_MAX,
    Body,
    Call,
    Operation,
)
from quartermaster.api.ports import Json, OwnRecord, Source

TAG = "exposure"
REVENUE_FILE = Body(media_types=(CSV, TOML), bytes_max=UPLOAD_BYTES_MAX)
CSV_FILE = Body(media_types=(CSV,), bytes_max=UPLOAD_BYTES_MAX)
TOML_FILE = Body(media_types=(TOML,), bytes_max=TOML_BYTES_MAX)

Handler = Callable[[Call], Json]


def exposure(call: Call) -> Json:
    """How much hangs on whom."""
    return call.ports.answers.exposure(_source(call), call.asked(questions.ExposureAsked))


def risk(call: Call) -> Json:
    """What revenue is at risk."""
    return call.ports.answers.risk(_source(call), call.asked(questions.RiskAsked))


def forecast(call: Call) -> Json:
    """Revenue ahead."""
    return call.ports.answers.forecast(_source(call), call.asked(questions.ForecastAsked))


def suggestion(call: Call) -> Json:
    """A range to promise."""
    return call.ports.answers.suggestion(_source(call), call.asked(questions.SuggestionAsked))


def score(call: Call) -> Json:
    """Verdicts on what was promised."""
    return call.ports.answers.score(_source(call))


def disclosure(call: Call) -> Json:
    """What a disclosure rule asks."""
    return call.ports.answers.disclosure(_source(call), call.asked(questions.DisclosureAsked))


def claims(call: Call) -> Json:
    """Which claims agree."""
    return call.ports.answers.claims(_source(call), call.asked(questions.ClaimsAsked))


def warnings(call: Call) -> Json:
    """Who is leaving."""
    return call.ports.answers.warnings(_source(call))


def backtest(call: Call) -> Json:
    """How good those probabilities would have been."""
    return call.ports.answers.backtest(_source(call))


def departure(call: Call) -> Json:
    """How likely a customer leaves."""
    return call.ports.answers.departure(_source(call), call.asked(questions.CaseAsked))


def statements(call: Call) -> Json:
    """How good the statements of a file were."""
    return call.ports.answers.statements(_source(call))


def own_record(call: Call) -> OwnRecord:
    """How good our own weekly statements were."""
    return call.ports.answers.own_record(call.asked(questions.BookAsked).book)


def capacity(call: Call) -> Json:
    """What was built and who keeps it busy."""
    files = call.given(questions.CapacityFiles)
    return call.ports.answers.capacity(files, call.asked(questions.CapacityAsked))


def payback(call: Call) -> Json:
    """When the money is back."""
    fleet = None if call.body is None else _source(call)
    return call.ports.answers.payback(fleet, call.asked(questions.PaybackAsked))


def _lever(lever: Lever) -> Handler:
    def what_if(call: Call) -> Json:
        asked = call.asked(questions.WhatIfAsked)
        return call.ports.answers.what_if(_source(call), lever, asked)

    return what_if


def _source(call: Call) -> Source:
    if call.body is None:
        return Source(book=getattr(call.query, "book", ""))
    upload = call.upload()
    name = getattr(call.query, "name", "upload")
    return Source(name=name, media_type=upload.media_type, data=upload.data)


def _row(
    method: str,
    path: str,
    name: str,
    summary: str,
    handler: Handler,
    answer: object,
    query: type[msgspec.Struct],
    *,
    body: Body | None = None,
    without: frozenset[str] = frozenset(),
    tag: str = TAG,
) -> Operation:
    return Operation(
        method=method,
        path=path,
        name=name,
        summary=summary,
        tag=tag,
        roles=STAFF,
        handler=handler,
        answer=answer,
        query=query,
        body=body,
        without=without,
        heavy=True,
    )


def _both(
    path: str,
    name: str,
    summary: str,
    handler: Handler,
    answer: object,
    query: type[msgspec.Struct],
    *,
    body: Body = REVENUE_FILE,
    without: frozenset[str] = frozenset(),
    tag: str = TAG,
) -> tuple[Operation, Operation]:
    """The same question of one of our books, and of a file."""
    fields = frozenset(query.__struct_fields__)
    return (
        _row(
            "GET", path, name, summary, handler, answer, query, tag=tag,
            without=(without | FILE_FIELDS) & fields,
        ),
        _row(
            "POST", path, f"{name}OfFile", f"{summary} Of a file.", handler, answer, query,
            tag=tag, body=body, without=(without | BOOK_FIELDS) & fields,
        ),
    )  # fmt: skip


def _levers() -> tuple[Operation, ...]:
    words: dict[Lever, str] = {
        "leave": "What if a customer leaves, or is suspended?",
        "cut": "What if a customer cuts its usage?",
        "price": "What if a price changes?",
        "commit": "What if a customer commits?",
        "diversify": "What if the largest customer were a smaller share of the same revenue?",
        "tornado": "The usual levers on one customer, beside each other.",
    }
    every = frozenset[str]().union(*LEVER_FIELDS.values())
    return tuple(
        row
        for lever in get_args(Lever)
        for row in _both(
            f"/what-if/{lever}",
            f"whatIf{lever.title()}",
            words[lever],
            _lever(lever),
            risks.WhatIfDocument,
            questions.WhatIfAsked,
            without=every - LEVER_FIELDS[lever],
            tag="what-if",
        )
    )


OPERATIONS: tuple[Operation, ...] = (
    *_both(
        "/exposure",
        "showExposure",
        "How much hangs on whom.",
        exposure,
        shapes.ExposureDocument,
        questions.ExposureAsked,
    ),
    *_both(
        "/disclosure",
        "testDisclosure",
        "What a disclosure rule asks about single customers, and a draft for counsel.",
        disclosure,
        shapes.DisclosureDocument,
        questions.DisclosureAsked,
    ),
    _row(
        "GET",
        "/claims",
        "checkClaims",
        "Which claims of the reference scenario agree, contradict, or cannot be compared.",
        claims,
        shapes.ClaimsDocument,
        questions.ClaimsAsked,
        without=frozenset({"name"}),
    ),
    _row(
        "POST",
        "/claims",
        "checkClaimsOfFile",
        "Which claims of a scenario agree, contradict, or cannot be compared.",
        claims,
        shapes.ClaimsDocument,
        questions.ClaimsAsked,
        body=TOML_FILE,
    ),
    *_both(
        "/risk",
        "showRisk",
        "What revenue is at risk when customers leave, and on whom it hangs.",
        risk,
        risks.RiskDocument,
        questions.RiskAsked,
        tag="risk",
    ),
    *_levers(),
    *_both(
        "/forecast",
        "showForecast",
        "Revenue ahead, with and without one customer, with intervals that were checked.",
        forecast,
        ahead.ForecastDocument,
        questions.ForecastAsked,
        body=CSV_FILE,
        tag="forecast",
    ),
    *_both(
        "/guidance/suggestion",
        "suggestGuidance",
        "A range to promise, with a stated chance of a miss.",
        suggestion,
        ahead.SuggestionDocument,
        questions.SuggestionAsked,
        body=CSV_FILE,
        tag="forecast",
    ),
    _row(
        "POST",
        "/guidance/score",
        "scoreGuidance",
        "Verdicts on what was promised.",
        score,
        ahead.ScoreDocument,
        questions.FileAsked,
        body=CSV_FILE,
        tag="forecast",
    ),
    *_both(
        "/warnings",
        "showWarnings",
        "Who is leaving, by what usage says.",
        warnings,
        ahead.WarningsDocument,
        questions.PanelAsked,
        body=CSV_FILE,
        tag="warning",
    ),
    *_both(
        "/backtest",
        "showBacktest",
        "How good those probabilities would have been, beside simple baselines.",
        backtest,
        ahead.BacktestDocument,
        questions.PanelAsked,
        body=CSV_FILE,
        tag="warning",
    ),
    _row(
        "POST",
        "/departure",
        "showDeparture",
        "How likely the customer of a case leaves, and every step to that figure.",
        departure,
        ahead.DepartureDocument,
        questions.CaseAsked,
        body=TOML_FILE,
        tag="warning",
    ),
    _row(
        "GET",
        "/statements",
        "showOwnRecord",
        "How good our own weekly statements were, by event.",
        own_record,
        OwnRecord,
        questions.BookAsked,
        tag="warning",
    ),
    _row(
        "POST",
        "/statements",
        "scoreStatements",
        "How good the statements of a file were: Brier, log score, reliability.",
        statements,
        ahead.StatementsDocument,
        questions.FileAsked,
        body=Body(media_types=(JSON_LINES,), bytes_max=UPLOAD_BYTES_MAX),
        tag="warning",
    ),
    _row(
        "POST",
        "/capacity",
        "showCapacity",
        "What a fleet cost, who kept it busy, and what nobody needed.",
        capacity,
        shapes.CapacityDocument,
        questions.CapacityAsked,
        body=Body(kind=questions.CapacityFiles, bytes_max=UPLOAD_BYTES_MAX),
        tag="capacity",
    ),
    _row(
        "GET",
        "/payback",
        "showPayback",
        "When an investment is paid back, with a customer and without it.",
        payback,
        shapes.PaybackDocument,
        questions.PaybackAsked,
        without=frozenset({"name"}),
        tag="capacity",
    ),
    _row(
        "POST",
        "/payback",
        "showPaybackOfFleet",
        "The same, with the capex of a fleet.",
        payback,
        shapes.PaybackDocument,
        questions.PaybackAsked,
        body=TOML_FILE,
        without=frozenset({"capex", "currency"}),
        tag="capacity",
    ),
)
