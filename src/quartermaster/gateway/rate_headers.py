"""Rate limits as SDKs of each dialect read them: in the headers of every answer, and in a 429.

Sources: platform.openai.com/docs/guides/rate-limits, "Rate limits in headers";
platform.claude.com/docs/en/api/rate-limits, "Response headers"; the retry rules of the `openai`
and `anthropic` SDKs (`_base_client.py`: `x-should-retry`, `retry-after-ms`, `retry-after`).
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from quartermaster.gateway.dialects.errors import Shape
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import RefusedError

US_PER_MS: Final = 1_000
_MS_PER_S: Final = 1_000
_MS_PER_MINUTE: Final = 60_000
_MS_PER_HOUR: Final = 3_600_000


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One limit as a customer sees it."""

    limit: int
    """The whole limit, of which other workers may have shares."""
    remaining: int
    """What this worker still lets pass."""
    reset_us: int
    """How long until everything is back."""


class RateLimitedError(RefusedError):
    """Too much at once.

    Args:
        message: which limit.
        kind: what OpenAI calls it, `requests` or `tokens`.
        wait_us: how long until the request may pass; 0 when it never may.
        hint: what to do.
    """

    def __init__(self, message: str, *, kind: str, wait_us: int = 0, hint: str) -> None:
        super().__init__(message, code="rate_limit_exceeded", http_status=429, hint=hint)
        self.kind = kind
        self.wait_us = wait_us
        self.elsewhere = False
        """Whether another worker may let it pass, over another connection."""
        self.requests: Reading | None = None
        self.tokens: Reading | None = None

    @property
    def never(self) -> bool:
        """Whether the same request is refused again, whenever it comes."""
        return self.wait_us == 0


def whose(scope: str) -> str:
    """What customers are told of whose limit or budget it is: a throttle is the account's."""
    return {"key": "this API key", "project": "this project"}.get(scope, "this account")


def retry_headers(refusal: RateLimitedError) -> bytes:
    """When to come back; SDKs obey the milliseconds, everybody else the seconds."""
    if refusal.never:
        return b"x-should-retry: false\r\n"
    wait_ms = -(-refusal.wait_us // US_PER_MS)
    return b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (-(-wait_ms // _MS_PER_S), wait_ms)


def rate_headers(shape: Shape, requests: Reading | None, tokens: Reading | None, now: int) -> bytes:
    """The header lines of the limits that there are.

    Args:
        shape: the client's dialect; Azure names them as OpenAI does, and counts in seconds.
        requests: of requests a minute.
        tokens: of tokens a minute.
        now: microseconds UTC; Anthropic names the time at which a limit is whole again.
    """
    lines = []
    for what, reading in ((b"requests", requests), (b"tokens", tokens)):
        if reading is None:
            continue
        if shape == "anthropic":
            lines.append(
                b"anthropic-ratelimit-%b-limit: %d\r\n"
                b"anthropic-ratelimit-%b-remaining: %d\r\n"
                b"anthropic-ratelimit-%b-reset: %b\r\n"
                % (
                    *(what, reading.limit, what, reading.remaining),
                    *(what, _rfc_3339(now + reading.reset_us)),
                )
            )
        else:
            lines.append(
                b"x-ratelimit-limit-%b: %d\r\n"
                b"x-ratelimit-remaining-%b: %d\r\n"
                b"x-ratelimit-reset-%b: %b\r\n"
                % (
                    *(what, reading.limit, what, reading.remaining),
                    *(what, _reset(shape, reading.reset_us)),
                )
            )
    return b"".join(lines)


def duration(us: int) -> bytes:
    """A time as OpenAI writes it: `0s`, `12ms`, `7.66s`, `6m0s`, `1h0m30s`."""
    ms = -(-us // US_PER_MS)
    if 0 < ms < _MS_PER_S:
        return b"%dms" % ms
    hours, ms = divmod(ms, _MS_PER_HOUR)
    minutes, ms = divmod(ms, _MS_PER_MINUTE)
    seconds, ms = divmod(ms, _MS_PER_S)
    text = f"{seconds}.{ms:03}".rstrip("0").rstrip(".") if ms else str(seconds)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{before}{text}s".encode()


def _reset(shape: Shape, us: int) -> bytes:
    """Until when a limit is whole again; Azure's clients read a whole number of seconds."""
    return b"%d" % -(-us // US_PER_S) if shape == "azure" else duration(us)


def _rfc_3339(at: int) -> bytes:
    """An instant in whole seconds, later rather than too early."""
    return f"{datetime.fromtimestamp(-(-at // US_PER_S), UTC):%Y-%m-%dT%H:%M:%SZ}".encode()


def refusal_headers(refusal: RefusedError, shape: Shape, now: int) -> bytes:
    """Headers that the status demands (RFC 9110, 11.6.1 and 15.5.6; RFC 6585, 4)."""
    if isinstance(refusal, RateLimitedError):
        left = rate_headers(shape, refusal.requests, refusal.tokens, now)
        return retry_headers(refusal) + left
    if refusal.http_status == 401:
        return b"www-authenticate: Bearer\r\n"
    if refusal.http_status == 405:
        return b"allow: POST, GET\r\n"
    return b""
