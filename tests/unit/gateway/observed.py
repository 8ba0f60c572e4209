"""Ended requests without a gateway around them, for tests of what is counted, logged and traced."""

from dataclasses import dataclass, field
from typing import Final

from tests.unit.gateway.gateway_fakes import a_grant

from quartermaster.gateway.otlp_context import TraceContext
from quartermaster.gateway.route import Target, target
from quartermaster.gateway.wire import ChatCall, read_call
from quartermaster.kernel.events import Closed, Endpoint
from quartermaster.kernel.snapshot import Deployment, KeyGrant
from quartermaster.kernel.units import Counts

AT: Final = 1_700_000_000_000_000
LLAMA: Final = target(Deployment("llama@rack-1", "llama", "http://10.0.0.5:8000/v1", "llama-3"))


def a_call(*, stream: bool = False) -> ChatCall:
    """A chat that says something which must never be logged."""
    streaming = b"true" if stream else b"false"
    return read_call(
        b'{"model":"llama","stream":%b,"messages":[{"role":"user","content":"SECRET"}]}' % streaming
    )


def a_close(
    *,
    took_ms: float = 80,
    first_byte_ms: float = 30,
    status: int = 200,
    failure: str = "",
    counts: Counts = Counts(input=24, output=12),  # noqa: B008 - immutable
) -> Closed:
    """A close record of a request that was opened at `AT`."""
    first_byte_at = AT + int(first_byte_ms * 1000) if first_byte_ms else 0
    closed_at = AT + int(took_ms * 1000)
    said = ("stop", "chatcmpl-7", b'{"prompt_tokens":24}')
    return Closed(closed_at, first_byte_at, status, counts, "upstream", *said, 0, failure)


@dataclass
class AnEnd:
    """An exchange that has ended."""

    closed: Closed | None = field(default_factory=a_close)
    call: ChatCall = field(default_factory=a_call)
    target: Target = LLAMA
    grant: KeyGrant = field(default_factory=a_grant)
    endpoint: Endpoint = "chat.completions"
    request_id: str = "req_1"
    opened_at: int = AT
    first_byte_at: int = 0
    trace_context: TraceContext | None = None
