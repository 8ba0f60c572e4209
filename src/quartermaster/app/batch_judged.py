"""What becomes of a line by what came back: done, failed, or waiting for another attempt."""

from typing import Final

import msgspec

from quartermaster.app.batch_gateway import Answered
from quartermaster.book.batches import Line
from quartermaster.kernel.clock import US_PER_S

FIRST_ERROR: Final = 400
"""The first HTTP status that is one."""
FAILURES_MAX: Final = 5
"""A model server that fails five times at one request will fail again."""
BACKOFF_S: Final = (1.0, 5.0, 20.0, 60.0)
"""Between two attempts, where the answer does not say how long."""
BUSY: Final = frozenset((408, 429, 503))
"""Not a failure of the line: it waits for as long as its batch may."""
FAILED: Final = frozenset((500, 502, 504))
FORBIDDEN: Final = 403
BARRED: Final = frozenset(("account_suspended", "account_throttled"))
"""Not a failure of the line either: who is barred today may be served tomorrow."""
BARRED_S: Final = 5.0
"""A reinstatement reaches every gateway within a second."""


class _Reason(msgspec.Struct, frozen=True):
    code: str | int | None = None


class _Refused(msgspec.Struct, frozen=True):
    error: _Reason | None = None


_decode_refused: Final = msgspec.json.Decoder(_Refused).decode


def code_of(body: bytes) -> str:
    """Why the gateway refused a line; empty where it does not say."""
    try:
        error = _decode_refused(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return "" if error is None or error.code is None else str(error.code)


def judged(line: Line, answer: Answered, now: int) -> Line:
    """What a line becomes by an answer: done, failed, or waiting for another attempt.

    Args:
        line: as it was sent.
        answer: what came back, if anything did.
        now: microseconds UTC.
    """
    status, failures, lost = answer.status, line.failures, line.lost
    wait_s = answer.retry_after_s
    if answer.sent == "answered" and status < FIRST_ERROR:
        return msgspec.structs.replace(line, state="done")
    if answer.sent == "lost":
        failures, lost = failures + 1, True
    elif answer.sent == "answered" and status == FORBIDDEN and code_of(answer.body) in BARRED:
        wait_s = wait_s or BARRED_S
    elif answer.sent == "answered" and status not in BUSY:
        failures += 1
        if status not in FAILED:
            return msgspec.structs.replace(line, state="failed", failures=failures)
    if failures >= FAILURES_MAX:
        return msgspec.structs.replace(line, state="failed", failures=failures, lost=lost)
    if wait_s is None:
        # A gateway that went away is back in a moment; a model server that fails is not.
        answered = answer.sent == "answered"
        wait_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1) if answered else 0]
    return msgspec.structs.replace(
        line,
        state="waiting",
        failures=failures,
        lost=lost,
        not_before=now + int(wait_s * US_PER_S),
    )
