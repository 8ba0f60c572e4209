"""How large may one request be? Its body, its answer, and the time that the answer may take.

Held for keys with and without a budget. What a customer asks beyond its cap is refused before
anything is served; a request that states no output limit gets the cap, which is sent to the model
server; and a server that ignores it, or takes too long, is stopped by the gateway.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from quartermaster.gateway.budget_bound import answers_asked, cap_stated
from quartermaster.gateway.limits import Scoped
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.events import DeploymentApi, Endpoint

TIME_OVER: Final = "time_limit_exceeded"
"""The failure of a request whose answer took longer than its key allows."""

WRITING: Final[frozenset[Endpoint]] = frozenset(
    ("chat.completions", "completions", "responses", "messages")
)
"""What answers in tokens; media come back as files, and an embedding as numbers."""


class Caps(msgspec.Struct, frozen=True, gc=False):
    """What one request of a key may be; None where nothing is said."""

    output_tokens: int | None = None
    body_bytes: int | None = None
    stream_seconds: int | None = None


def caps_of(limited: Iterable[Scoped]) -> Caps | None:
    """The tightest caps of a key, its project and its group; most often none."""
    found = Caps(
        *(
            min((one for one in values if one is not None), default=None)
            for values in zip(
                *(
                    (one.limits.output_tokens, one.limits.body_bytes, one.limits.stream_seconds)
                    for one in limited
                ),
                strict=True,
            )
        )
    )
    return None if found == Caps() else found


def hold_to(
    caps: Caps, call: ChatCall, body: bytes, operation: Endpoint, api: DeploymentApi, default: int
) -> int | None:
    """Hold a request to its caps; a missing output limit is put into it.

    Args:
        caps: of its key.
        call: the request.
        body: its bytes, as they came.
        operation: what is asked for.
        api: what the model server speaks.
        default: the output limit of a request that states none, where it is below the cap.

    Returns:
        The most output tokens of all its answers; None where nothing bounds them.

    Raises:
        RefusedError: 413 or 400, it asks for more than it may.
    """
    if caps.body_bytes is not None and len(body) > caps.body_bytes:
        raise refused(
            "request_too_large",
            f"The request body is larger than the {caps.body_bytes} bytes of this API key.",
            hint="Send fewer or shorter messages.",
        )
    most = caps.output_tokens
    if most is None or operation not in WRITING:
        return None
    name, asked = cap_stated(call, operation, api, min(most, default))
    if asked > most:
        raise refused(
            "unsupported_value",
            f"'{name}' is too large: {asked}. This API key may ask for at most {most} output"
            " tokens an answer.",
            param=name,
        )
    return answers_asked(call) * asked
