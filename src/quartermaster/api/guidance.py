"""Guidance in the book: recorded from a file, and judged."""

import msgspec

from quartermaster.api import asked as questions
from quartermaster.api import documents_ahead as ahead
from quartermaster.api.operation import CSV, STAFF, UPLOAD_BYTES_MAX, Body, Call, Operation
from quartermaster.api.ports import Json
from quartermaster.commands import guidance as promises
from quartermaster.kernel.errors import NotFoundError
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import document, scorecard

TAG = "forecast"


class GuidanceKept(msgspec.Struct, frozen=True):
    """How much of a file said something new."""

    recorded: int
    promises: int


def show(call: Call) -> Json:
    """Verdicts on what is recorded."""
    found = promises.recorded(call.ports.book.view())
    if not found:
        raise NotFoundError("no guidance is recorded here", hint="post a CSV of it")
    return document(scorecard(found), "book")


def record(call: Call) -> GuidanceKept:
    """Keep what was promised and what came."""
    name = call.asked(questions.FileAsked).name
    found = read_guidance(call.upload().data, name)
    written = promises.record(call.ports.book, call.actor, found, call.now)
    return GuidanceKept(written, len(found))


OPERATIONS = (
    Operation(
        method="GET",
        path="/guidance",
        name="showGuidance",
        summary="Verdicts on the guidance that is recorded here.",
        tag=TAG,
        roles=STAFF,
        handler=show,
        answer=ahead.ScoreDocument,
        lacks=True,
    ),
    Operation(
        method="POST",
        path="/guidance",
        name="recordGuidance",
        summary="Record what was promised and what came; a promise is not rewritten.",
        tag=TAG,
        roles=frozenset({"finance", "admin"}),
        handler=record,
        answer=GuidanceKept,
        query=questions.FileAsked,
        body=Body(media_types=(CSV,), bytes_max=UPLOAD_BYTES_MAX),
        writes=True,
    ),
)
