"""Every way of saying no, in the shape that the client's SDK knows.

Sources: platform.openai.com/docs/guides/error-codes; platform.claude.com/docs/en/api/errors;
Azure/azure-rest-api-specs, AzureOpenAI inference 2024-10-21 (`errorResponse`, `dalleError`);
learn.microsoft.com/azure/foundry/openai/concepts/content-filter; the Azure codes `401`,
`DeploymentNotFound` and `429`, and `innererror` in chats, as the service answers them.
"""

from typing import Final, Literal

import msgspec

from quartermaster.gateway import refusals
from quartermaster.gateway.dialects.body import EMPTY, UNREADABLE
from quartermaster.kernel.errors import RefusedError

Shape = Literal["openai", "azure", "anthropic"]

# platform.claude.com/docs/en/api/errors, "HTTP errors".
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_AZURE_CODES: Final = {
    "invalid_api_key": "401",
    "model_not_found": "DeploymentNotFound",
    "unknown_url": "404",
}
FILTERED: Final = "content_filter"
"""Azure's code for what its content filter refuses in a chat."""
_IMAGE_FILTERED: Final = "content_policy_violation"
# What OpenAI calls it where it refuses to draw.
_IMAGE_FILTERED_CODES: Final = frozenset((_IMAGE_FILTERED, "moderation_blocked"))
# OpenAI's `invalid_prompt` says it in words only.
_FLAGGED: Final = ("flagged", "usage policy", "safety")
# Which of Azure's categories it would have been, another vendor does not say.
_FILTERED_BY_OTHERS: Final = b'{"code":"ResponsibleAIPolicyViolation","content_filter_result":{}}'
_IMAGE_FILTERED_BY_OTHERS: Final = (
    b'{"code":"ResponsibleAIPolicyViolation","content_filter_results":{}}'
)
# An upstream's sentence is passed on up to here; tracebacks and HTML pages are not.
UPSTREAM_MESSAGE_CHARS_MAX: Final = 2_000


class _OpenAIDetail(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str | None


class _OpenAI(msgspec.Struct, frozen=True):
    error: _OpenAIDetail


class _AzureDetail(msgspec.Struct, frozen=True):
    code: str
    message: str
    param: str | None
    type: str


class _Azure(msgspec.Struct, frozen=True):
    error: _AzureDetail


class _AzureFiltered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a content filter refused; chats call the reason otherwise than images do."""

    message: str
    type: str | None
    param: str
    code: str
    status: int
    innererror: msgspec.Raw | None = None
    inner_error: msgspec.Raw | None = None


class _AnthropicDetail(msgspec.Struct, frozen=True):
    type: str
    message: str


class _Anthropic(msgspec.Struct, frozen=True):
    error: _AnthropicDetail
    request_id: str | None = None
    type: Literal["error"] = "error"


class _Said(msgspec.Struct):
    """The error object of an upstream, as far as it is known."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    innererror: msgspec.Raw = msgspec.Raw(b"")
    inner_error: msgspec.Raw = msgspec.Raw(b"")

    @property
    def filtered(self) -> bool:
        """Whether a filter of contents refused a chat."""
        flagged = any(word in (self.message or "").lower() for word in _FLAGGED)
        return self.code == FILTERED or (self.code == "invalid_prompt" and flagged)


class _Words(msgspec.Struct):
    """Where model servers put their sentence: vLLM `message`, FastAPI `detail`, Ollama `error`."""

    error: msgspec.Raw = msgspec.Raw(b"")
    message: msgspec.Raw = msgspec.Raw(b"")
    detail: msgspec.Raw = msgspec.Raw(b"")


_encode: Final = msgspec.json.Encoder().encode
_decode_words = msgspec.json.Decoder(_Words).decode
_decode_said = msgspec.json.Decoder(_Said | str).decode


def refusal_body(shape: Shape, error: RefusedError, request_id: str = "") -> bytes:
    """The JSON body of a refusal; the hint is part of the sentence a developer reads."""
    message = f"{error.message} {error.hint}".rstrip() if error.hint else error.message
    kind = error.kind or refusals.REFUSALS[error.code][1]
    return _body(shape, error.http_status, message, kind, error.field, error.code, request_id)


def upstream_body(shape: Shape, status: int, body: bytes, request_id: str = "") -> bytes:
    """What an upstream of any dialect answered instead of an answer, in the client's shape."""
    said = _said(body)
    message = said.message or f"The model server refused the request with status {status}."
    kind = said.type or (refusals.INVALID if status < 500 else refusals.SERVER)
    code = None if said.code is None else str(said.code)
    message = message[:UPSTREAM_MESSAGE_CHARS_MAX]
    if shape == "azure" and (said.filtered or said.code in _IMAGE_FILTERED_CODES):
        return _filtered(status, message, said)
    return _body(shape, status, message, kind, said.param, code, request_id)


def _filtered(status: int, message: str, said: _Said) -> bytes:
    """What Azure's clients look for where a content filter refused."""
    param = said.param or "prompt"
    if said.filtered:
        inner = said.innererror if bytes(said.innererror) not in EMPTY else _FILTERED_BY_OTHERS
        detail = _AzureFiltered(message, None, param, FILTERED, status, msgspec.Raw(inner))
    else:
        why = (
            said.inner_error if bytes(said.inner_error) not in EMPTY else _IMAGE_FILTERED_BY_OTHERS
        )
        kind, why = said.type, msgspec.Raw(why)
        detail = _AzureFiltered(message, kind, param, _IMAGE_FILTERED, status, inner_error=why)
    return _encode({"error": detail})


def _body(
    shape: Shape,
    status: int,
    message: str,
    kind: str,
    param: str | None,
    code: str | None,
    request_id: str,
) -> bytes:
    if shape == "anthropic":
        return _encode(_Anthropic(_AnthropicDetail(anthropic_type(status), message), request_id))
    if shape == "azure":
        # Model servers name what is too much differently; at Azure it is always the status.
        unsaid = str(status)
        known = unsaid if status == 429 else _AZURE_CODES.get(code or "", code or unsaid)
        return _encode(_Azure(_AzureDetail(known, message, param, kind)))
    return _encode(_OpenAI(_OpenAIDetail(message, kind, param, code)))


def anthropic_type(status: int) -> str:
    """Anthropic's name for a status."""
    known = _ANTHROPIC_TYPES.get(status)
    if known is not None:
        return known
    return "invalid_request_error" if 400 <= status < 500 else "api_error"


def message_of(body: bytes) -> str:
    """The sentence in an upstream's error, whatever its dialect; empty where there is none."""
    return (_said(body).message or "")[:UPSTREAM_MESSAGE_CHARS_MAX]


def _said(body: bytes) -> _Said:
    try:
        words = _decode_words(body)
    except UNREADABLE:
        return _Said()
    for raw in (words.error, words.message, words.detail):
        if bytes(raw) in EMPTY:
            continue
        try:
            said = _decode_said(raw)
        except UNREADABLE:
            return _Said()
        return _Said(message=said) if isinstance(said, str) else said
    return _Said()
