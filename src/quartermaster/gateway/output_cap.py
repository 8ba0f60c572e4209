"""Where a model server ignores the output cap it was told: the answer ends at the cap all the same.

A budget sets aside what a request can cost at most, which is true only where the cap holds. Servers
that do not know the name of a cap ignore it, and their tokens beyond it are the seller's cost: so a
stream is ended as the server should have ended it, and a plain answer that grows far beyond the cap
is given up. Requests without a budget or an output limit are not looked at.
"""

from typing import Final, Protocol

import msgspec

from quartermaster.gateway import meter
from quartermaster.gateway.caps import WRITING
from quartermaster.gateway.dialects import usage
from quartermaster.gateway.dialects.body import encode
from quartermaster.gateway.dialects.frames import DONE, data
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.meter import Metered
from quartermaster.gateway.pieces import tokens_of_bytes
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.units import Counts

ABOVE_CAP: Final = "output_above_cap"
"""The failure of a request whose model server did not obey the cap."""
LENGTH: Final = "length"
"""The finish reason of an answer that ends at its cap."""

# A server that obeys may tell a little more pieces than tokens: heads of tool calls, halves of
# letters. So many more, and a sixteenth, is none that does not know the cap.
PIECES_SPARE: Final = 16
_PIECES_SPARE_PART: Final = 16
# Text has some four bytes a token, letters as `\\u00e4` up to twelve, indented code eight.
BYTES_PER_TOKEN_MAX: Final = 64
# What is around the text: the head of an answer, its usage, filter results.
AROUND_BYTES: Final = 64 * 1024
# The Responses API repeats instructions and tools in the first two and the last event of a stream.
REPEATS_MAX: Final = 3
# What is around one piece of a stream.
AROUND_PIECE_BYTES: Final = 2 * 1024

# With these an answer holds more than its text: alternatives of every token, and recordings.
_LONGER: Final = ("logprobs", "top_logprobs", "modalities", "audio", "include", "echo")


class Around(Protocol):
    """The worker, as far as an answer's size needs it."""

    settings: GatewaySettings


class Answering(Protocol):
    """An exchange that collects a plain answer."""

    @property
    def home(self) -> Around:
        """The worker around it."""

    @property
    def endpoint(self) -> Endpoint:
        """What is asked for."""

    @property
    def call(self) -> ChatCall:
        """The request."""

    permit: Permit | None
    gone: bool
    final: bytes

    def drop_upstream(self) -> None:
        """Stop the model server's work on this request."""

    def refusal_bytes(self, refusal: RefusedError) -> bytes:
        """The bytes that tell the client why there is no answer."""

    def fail(self, code: str, message: str) -> None:
        """End without a complete answer."""

    def close(self, http_status: int, metered: Metered, *, failure: str = "") -> None:
        """Write the close record."""


def cap_of(permit: Permit | None, endpoint: Endpoint) -> int | None:
    """The most output tokens that a request may have; None where nothing bounds them.

    Args:
        permit: of the request.
        endpoint: what is asked for.
    """
    if permit is None or endpoint not in WRITING:
        return None
    return permit.output_tokens if permit.hold is None else permit.hold.output_tokens


def is_beyond(cap: int, call: ChatCall, tokens: int, pieces: int, body_bytes: int) -> bool:
    """Whether an answer is longer than one that a server ends at the cap.

    Args:
        cap: output tokens.
        call: the request.
        tokens: the fewest that these pieces can be.
        pieces: content deltas of a stream; a plain answer has none.
        body_bytes: of the answer so far.
    """
    if tokens > cap + cap // _PIECES_SPARE_PART + PIECES_SPARE:
        return True
    around = AROUND_BYTES + REPEATS_MAX * call.input_bytes + AROUND_PIECE_BYTES * pieces
    most = around + BYTES_PER_TOKEN_MAX * cap
    return body_bytes > most and not any(name in call.fields for name in _LONGER)


def chat_end(call: ChatCall, upstream_id: str, created_s: int, counts: Counts) -> bytes:
    """The last frames of a chat completion that ends at its cap.

    Args:
        call: the request.
        upstream_id: what the server calls the answer.
        created_s: seconds since 1970.
        counts: what is metered, for a client that asked.
    """
    head = {
        "id": upstream_id,
        "object": "chat.completion.chunk",
        "created": created_s,
        "model": call.model,
    }
    ends = [{"index": at, "delta": {}, "finish_reason": LENGTH} for at in range(_answers(call))]
    frames = data(encode({**head, "choices": ends}))
    if call.asks_usage:
        frames += data(encode({**head, "choices": [], "usage": usage.as_chat(counts)}))
    return frames + data(DONE)


def _answers(call: ChatCall) -> int:
    """Answers that were asked for; a budget or a limit has let whole numbers pass only."""
    raw = call.fields.get("n")
    return 1 if raw is None else msgspec.json.decode(raw, type=int | None) or 1


def is_too_large(exchange: Answering, body_bytes: int) -> bool:
    """Whether a plain answer that is still coming is not waited for any more.

    Args:
        exchange: the request.
        body_bytes: of its answer so far.
    """
    if body_bytes > exchange.home.settings.answer_bytes_max:
        return True
    cap = cap_of(exchange.permit, exchange.endpoint)
    return cap is not None and is_beyond(cap, exchange.call, 0, 0, body_bytes)


def give_up(exchange: Answering, body_bytes: int) -> None:
    """A plain answer is too large: nothing of it is delivered, and nothing is billed.

    Args:
        exchange: the request.
        body_bytes: what its model server has made, which the seller may have to pay.
    """
    words = "The model server's answer is too large."
    hold = None if exchange.permit is None else exchange.permit.hold
    if hold is None or exchange.gone:
        exchange.fail("upstream_malformed", words)
        return
    hold.serves_nothing()
    exchange.drop_upstream()
    refusal = refused("upstream_malformed", words)
    exchange.final = exchange.refusal_bytes(refusal)
    made = meter.estimated(b"", exchange.call.input_tokens, tokens_of_bytes(body_bytes))
    exchange.close(refusal.http_status, made, failure=ABOVE_CAP)
