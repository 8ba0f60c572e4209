"""Errors as JSON: what happened and what to do, in one shape, never a traceback."""

import msgspec
from starlette.responses import Response

from quartermaster.kernel.errors import QuartermasterError, RefusedError

UNAUTHORISED, METHOD_NOT_ALLOWED = 401, 405


class Problem(msgspec.Struct, frozen=True):
    """What happened, and what to do about it."""

    code: str
    """Stable, for programs."""
    message: str
    hint: str
    field: str | None
    """Which field of the request, where it is about one."""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: Problem


def unauthenticated() -> RefusedError:
    """Nobody is known by this token; why is nobody's business but its owner's."""
    return RefusedError(
        "this needs a token that is neither revoked nor expired",
        code="unauthenticated",
        http_status=UNAUTHORISED,
        hint="send Authorization: Bearer TOKEN; quartermaster user token make prints one",
    )


def problem(error: QuartermasterError) -> Response:
    """The error as a response."""
    answer = ErrorAnswer(Problem(error.code, error.message, error.hint, error.field))
    headers = {"www-authenticate": "Bearer"} if error.http_status == UNAUTHORISED else None
    return Response(
        msgspec.json.encode(answer),
        status_code=error.http_status,
        media_type="application/json",
        headers=headers,
    )
