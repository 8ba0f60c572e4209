"""Ended requests as OpenTelemetry spans, in OTLP's JSON, with the GenAI conventions. No content.

Two spans a request: ours (`POST chat.completions`), from arrival to the release of the answer, and
within it the call to the model server (`chat llama-3.3-70b`), to the close record. Ids are
hexadecimal and 64-bit integers are strings, as OTLP's JSON mapping wants them.
Source: opentelemetry.io/docs/specs/otlp and the semantic conventions for generative AI.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from quartermaster.gateway.otlp_context import TraceContext
from quartermaster.kernel.events import Closed, DeploymentApi, Endpoint

NS_PER_US: Final = 1_000
US_PER_S: Final = 1_000_000

_SERVER: Final = 2
_CLIENT: Final = 3
_ERROR: Final = 2
_ERRORS_FROM: Final = 500
# Endpoints that the conventions have a name for; the others are told by our own.
_OPERATIONS: Final[dict[Endpoint, str]] = {
    "chat.completions": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
_PROVIDERS: Final[dict[DeploymentApi, str]] = {
    "openai": "openai",
    "openai-responses": "openai",
    "azure": "azure.ai.openai",
    "anthropic": "anthropic",
}


class Ended(msgspec.Struct, frozen=True):
    """What spans are made from: ids, names and numbers, and nothing that was said."""

    context: TraceContext
    request_id: str
    endpoint: Endpoint
    model: str
    deployment: str
    api: DeploymentApi
    host: str
    port: int
    customer: str
    project: str
    stream: bool
    opened_at: int
    released_at: int
    closed: Closed


class Service(msgspec.Struct, frozen=True):
    """Who exports."""

    name: str
    instance: str
    version: str


class _Attribute(msgspec.Struct, frozen=True):
    key: str
    value: dict[str, object]


class _Status(msgspec.Struct, frozen=True, omit_defaults=True):
    code: int = 0
    message: str = ""


class _Span(msgspec.Struct, frozen=True, rename="camel"):
    trace_id: str
    span_id: str
    parent_span_id: str
    flags: int
    name: str
    kind: int
    start_time_unix_nano: str
    end_time_unix_nano: str
    attributes: list[_Attribute]
    status: _Status


def export(spans: Sequence[Ended], service: Service) -> bytes:
    """The body of one export request.

    Args:
        spans: sampled requests.
        service: who exports.
    """
    resource = [
        _text("service.name", service.name),
        _text("service.instance.id", service.instance),
        _text("service.version", service.version),
    ]
    scope = {"name": "quartermaster.gateway", "version": service.version}
    found = [span for one in spans for span in (_server(one), _model(one))]
    scoped = [{"scope": scope, "spans": found}]
    body = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": scoped}]}
    return msgspec.json.encode(body)


def _server(one: Ended) -> _Span:
    closed = one.closed
    attributes = [
        _text("http.request.method", "POST"),
        _number("http.response.status_code", closed.http_status),
        _text("quartermaster.request.id", one.request_id),
        _text("quartermaster.customer", one.customer),
        _text("quartermaster.project", one.project),
        *_error(closed),
    ]
    # The conventions call 4xx an error of the caller, not of the server.
    failed = closed.http_status >= _ERRORS_FROM or _broke(closed)
    return _span(
        one,
        one.context.server_span_id,
        one.context.parent_span_id,
        f"POST {one.endpoint}",
        _SERVER,
        one.released_at,
        attributes,
        failed=failed,
    )


def _model(one: Ended) -> _Span:
    closed = one.closed
    counts = closed.counts
    operation = _OPERATIONS.get(one.endpoint, one.endpoint)
    attributes = [
        _text("gen_ai.operation.name", operation),
        _text("gen_ai.provider.name", _PROVIDERS[one.api]),
        _text("gen_ai.request.model", one.model),
        _text("server.address", one.host),
        _number("server.port", one.port),
        _text("quartermaster.deployment", one.deployment),
        _text("quartermaster.usage.source", closed.count_source),
        _number(
            "gen_ai.usage.input_tokens",
            counts.input + counts.cached_read + counts.cache_write + counts.audio_input,
        ),
        _number(
            "gen_ai.usage.output_tokens", counts.output + counts.reasoning + counts.audio_output
        ),
    ]
    for name, quantity in (
        ("gen_ai.usage.cache_read.input_tokens", counts.cached_read),
        ("gen_ai.usage.cache_write.input_tokens", counts.cache_write),
        ("gen_ai.usage.reasoning.output_tokens", counts.reasoning),
    ):
        if quantity:
            attributes.append(_number(name, quantity))
    if closed.upstream_id:
        attributes.append(_text("gen_ai.response.id", closed.upstream_id))
    if closed.finish_reason:
        reasons = {"values": [{"stringValue": closed.finish_reason}]}
        attributes.append(_Attribute("gen_ai.response.finish_reasons", {"arrayValue": reasons}))
    if one.stream:
        attributes.append(_Attribute("gen_ai.request.stream", {"boolValue": True}))
        if closed.first_byte_at:
            after_s = max(closed.first_byte_at - one.opened_at, 0) / US_PER_S
            attributes.append(
                _Attribute("gen_ai.response.time_to_first_chunk", {"doubleValue": after_s})
            )
    return _span(
        one,
        one.context.model_span_id,
        one.context.server_span_id,
        f"{operation} {one.model}",
        _CLIENT,
        closed.closed_at,
        [*attributes, *_error(closed)],
        failed=closed.http_status != 200 or _broke(closed),
    )


def _span(
    one: Ended,
    span_id: str,
    parent_span_id: str,
    name: str,
    kind: int,
    ended_at: int,
    attributes: list[_Attribute],
    *,
    failed: bool,
) -> _Span:
    return _Span(
        trace_id=one.context.trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        flags=int(one.context.sampled),
        name=name,
        kind=kind,
        start_time_unix_nano=str(one.opened_at * NS_PER_US),
        # A clock that was set back must not make a span that ends before it begins.
        end_time_unix_nano=str(max(ended_at, one.opened_at) * NS_PER_US),
        attributes=attributes,
        status=_Status(_ERROR, one.closed.failure) if failed else _Status(),
    )


def _broke(closed: Closed) -> bool:
    """Whether a stream that had begun with 200 ended with an error of the model server."""
    return closed.http_status == 200 and closed.failure.startswith("upstream_")


def _error(closed: Closed) -> list[_Attribute]:
    if closed.http_status == 200 and not _broke(closed):
        return []
    return [_text("error.type", closed.failure or str(closed.http_status))]


def _text(key: str, value: str) -> _Attribute:
    return _Attribute(key, {"stringValue": value})


def _number(key: str, value: int) -> _Attribute:
    return _Attribute(key, {"intValue": str(value)})
