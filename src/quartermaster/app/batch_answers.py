"""Lines of the files that a batch leaves: answers in one, errors in the other, as OpenAI's."""

from typing import Final

import msgspec

from quartermaster.book.batch_states import BatchEnd, LineError, Tokens

_COMPACT: Final = -1
"""One line: an upstream's answer may come with line feeds in it."""
_ID_PREFIX: Final = "req_"


class _Response(msgspec.Struct, frozen=True):
    status_code: int
    request_id: str
    body: msgspec.Raw


class _Error(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Output(msgspec.Struct, frozen=True):
    id: str
    custom_id: str
    response: _Response | None
    error: _Error | None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Body(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


_decode_body: Final = msgspec.json.Decoder(_Body).decode

TERMINATED: Final = LineError(
    "account_terminated", "This batch was cancelled because the account was terminated."
)
"""Of a batch whose customer is not served any more."""
_TERMINATED: Final = _Error(
    TERMINATED.code, "This request was not executed because the account was terminated."
)
_NEVER_SENT: Final[dict[BatchEnd, _Error]] = {
    "expired": _Error(
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": _Error(
        "batch_cancelled", "This request was not executed because the batch was cancelled."
    ),
}


def answered(custom_id: str, request_id: str, status: int, body: bytes) -> bytes:
    """The line of a request that the gateway answered, with whatever status."""
    try:
        compact = msgspec.json.format(body, indent=_COMPACT)
    except (msgspec.DecodeError, RecursionError):
        # No JSON came back: it is told as a string, so that the file stays one of JSON lines.
        compact = msgspec.json.encode(body.decode("utf-8", "replace"))
    response = _Response(status, request_id, msgspec.Raw(compact))
    return _line(_Output(_id(request_id), custom_id, response, None))


def unanswered(custom_id: str, request_id: str, message: str) -> bytes:
    """The line of a request to which nothing came back, however often it was sent."""
    error = _Error("no_answer", message)
    return _line(_Output(_id(request_id), custom_id, None, error))


def never_sent(custom_id: str, request_id: str, end: BatchEnd, *, terminated: bool) -> bytes:
    """The line of a request that was not sent, or not again, before its batch ended."""
    error = _TERMINATED if terminated else _NEVER_SENT[end]
    return _line(_Output(_id(request_id), custom_id, None, error))


def tokens_of(body: bytes) -> Tokens:
    """What an answer says it used; nothing where it says nothing that can be read."""
    try:
        used = _decode_body(body).usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Tokens()
    if used is None:
        return Tokens()
    read = used.prompt_tokens_details or used.input_tokens_details or _Details()
    wrote = used.completion_tokens_details or used.output_tokens_details or _Details()
    return Tokens(
        used.prompt_tokens or used.input_tokens,
        read.cached_tokens,
        used.completion_tokens or used.output_tokens,
        wrote.reasoning_tokens,
    )


def _id(request_id: str) -> str:
    return f"batch_req_{request_id.removeprefix(_ID_PREFIX)}"


def _line(output: _Output) -> bytes:
    return msgspec.json.encode(output) + b"\n"
