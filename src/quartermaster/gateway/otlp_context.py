"""Whose trace a request belongs to: W3C trace context in, and on to the model server.

A trace id that a client sends is a name it chose for its own request: it is passed on and put on
our spans, and nothing is ever looked up, billed or deduplicated by it.
Source: W3C Trace Context, level 1 (www.w3.org/TR/trace-context-1).
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

# `version-trace_id-parent_id-flags`; a later version may have more behind it, and its start is
# read as the first version's. `ff` is no version, and ids of zeros are no ids.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
# 3.3.1: `key=value`; a key of small letters, with a tenant before an at sign perhaps.
_MEMBER: Final = re.compile(
    rb"[a-z0-9][a-z0-9_*/-]{0,240}(?:@[a-z][a-z0-9_*/-]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}"
)
TRACESTATE_MEMBERS_MAX: Final = 32
"""More are no list (3.3.1.1)."""
TRACESTATE_BYTES_MAX: Final = 4_096
"""Every vendor must pass 512 characters on (3.3.1.5); a longer one than this would fill heads."""
_FIRST_VERSION: Final = b"00"
_SAMPLED: Final = 1


class Parent(msgspec.Struct, frozen=True):
    """What a client said about its trace."""

    trace_id: str
    span_id: str
    sampled: bool


class TraceContext(msgspec.Struct, frozen=True):
    """One request's place in a trace. Ids are lower-case hexadecimal."""

    trace_id: str
    server_span_id: str
    """Of our handling of the request."""
    model_span_id: str
    """Of the call to the model server, which is the parent of whatever that one records."""
    parent_span_id: str
    """The client's span, or empty where the trace begins here."""
    sampled: bool

    @property
    def traceparent(self) -> bytes:
        """The header for the model server."""
        return f"00-{self.trace_id}-{self.model_span_id}-{int(self.sampled):02x}".encode()


def parent_of(header: bytes) -> Parent | None:
    """The client's context, or None where the header is none: then it is as if it were absent."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None or (found[1] == _FIRST_VERSION and found[5]):
        return None
    sampled = bool(int(found[4], 16) & _SAMPLED)
    return Parent(found[2].decode(), found[3].decode(), sampled)


def context(parent: Parent | None, randomness: bytes, share: float) -> TraceContext:
    """The context of a request: the client's trace, or a new one.

    Args:
        parent: what the client said; its word decides whether the request is recorded.
        randomness: 32 bytes.
        share: of the requests without a parent that are recorded, from 0 to 1.
    """
    spans = (randomness[16:24].hex(), randomness[24:32].hex())
    if parent is not None:
        return TraceContext(parent.trace_id, *spans, parent.span_id, parent.sampled)
    # As OpenTelemetry's samplers do it: by the id itself, so that every service decides alike.
    sampled = int.from_bytes(randomness[8:16]) < share * 2**64
    return TraceContext(randomness[:16].hex(), *spans, "", sampled)


Tracer = Callable[[bytes], TraceContext]
"""From a `traceparent` header, empty where there was none."""


class Traced(Protocol):
    """An exchange that a model server is to be told the trace of."""

    trace_context: TraceContext | None
    trace_lines: bytes
    """Header lines for the model server."""


class Asking(Protocol):
    """What a client's request says of its trace."""

    traceparent: bytes
    tracestate: bytes


def follow(exchange: Traced, request: Asking, tracer: Tracer | None) -> None:
    """Put a request into its client's trace, or into one of its own.

    `tracestate` belongs to the trace of the `traceparent` beside it: it goes on only with that one.

    Args:
        exchange: not sent yet.
        request: as the client sent it.
        tracer: of a worker that exports traces; without one the headers are passed on as they came.
    """
    header = request.traceparent
    parent = parent_of(header)
    if tracer is not None:
        exchange.trace_context = tracer(header)
        header = exchange.trace_context.traceparent
    elif parent is None:
        return
    lines = b"traceparent: %b\r\n" % header
    if parent is not None and may_go_on(request.tracestate):
        lines += b"tracestate: %b\r\n" % request.tracestate
    exchange.trace_lines = lines


def may_go_on(tracestate: bytes) -> bool:
    """Whether a list of vendors' notes is one, and not too long; else it is as if it were absent.

    Args:
        tracestate: several header lines are one list, joined by commas.
    """
    if not tracestate or len(tracestate) > TRACESTATE_BYTES_MAX:
        return False
    members = [one for one in (part.strip(b" \t") for part in tracestate.split(b",")) if one]
    return 0 < len(members) <= TRACESTATE_MEMBERS_MAX and all(map(_MEMBER.fullmatch, members))
