"""Every way the gateway says no, in the error shape that OpenAI clients know.

Source: platform.openai.com/docs/guides/error-codes; the SDK maps the status to its exception.
"""

from typing import Final

import msgspec

from quartermaster.kernel.errors import RefusedError

INVALID: Final = "invalid_request_error"
SERVER: Final = "server_error"

# code -> (HTTP status, OpenAI error type)
REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "malformed_http": (400, INVALID),
    "invalid_json": (400, INVALID),
    "missing_required_parameter": (400, INVALID),
    "invalid_type": (400, INVALID),
    "unsupported_value": (400, INVALID),
    "invalid_api_key": (401, INVALID),
    "account_suspended": (403, "permission_error"),
    "account_throttled": (403, "permission_error"),
    "address_not_allowed": (403, "permission_error"),
    "endpoint_not_allowed": (403, "permission_error"),
    "model_not_allowed": (403, "permission_error"),
    "model_not_priced": (403, "permission_error"),
    "data_zone_not_served": (403, "permission_error"),
    "time_limit_exceeded": (403, "permission_error"),
    "model_not_found": (404, INVALID),
    "unknown_url": (404, INVALID),
    "method_not_allowed": (405, INVALID),
    "request_timeout": (408, INVALID),
    "request_too_large": (413, INVALID),
    "rate_limit_exceeded": (429, "requests"),
    "insufficient_quota": (429, "insufficient_quota"),
    "expectation_failed": (417, INVALID),
    "headers_too_large": (431, INVALID),
    "upstream_rejected": (502, SERVER),
    "upstream_unreachable": (502, SERVER),
    "upstream_dropped": (502, SERVER),
    "upstream_malformed": (502, SERVER),
    "upstream_error": (502, SERVER),
    "upstream_saturated": (503, SERVER),
    "meter_unavailable": (503, SERVER),
    "not_ready": (503, SERVER),
    "model_drained": (503, SERVER),
    "out_of_contact": (503, SERVER),
    "upstream_timeout": (504, SERVER),
}


class ErrorDetail(msgspec.Struct, frozen=True):
    """The object under `error`; all four fields are always there."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct, frozen=True):
    """An OpenAI error reply."""

    error: ErrorDetail


_encode = msgspec.json.Encoder().encode


def refused(code: str, message: str, *, param: str | None = None, hint: str = "") -> RefusedError:
    """The refusal of that code; its status comes from the table above."""
    return RefusedError(message, code=code, http_status=REFUSALS[code][0], hint=hint, field=param)


def error_body(error: RefusedError) -> bytes:
    """The JSON body of a refusal; the hint is part of the sentence a developer reads."""
    message = f"{error.message} {error.hint}".rstrip() if error.hint else error.message
    kind = error.kind or REFUSALS[error.code][1]
    return _encode(ErrorBody(ErrorDetail(message, kind, error.field, error.code)))


def upstream_error_body(status: int, code: str) -> bytes:
    """The OpenAI shape around an upstream refusal that came in another shape."""
    kind = INVALID if status < 500 else SERVER
    message = f"The model server refused the request with status {status}."
    return _encode(ErrorBody(ErrorDetail(message, kind, None, code)))
