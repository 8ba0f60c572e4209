"""The outer wall: host names, body sizes and response headers, before any page is asked.

A pure ASGI layer, so that every response carries the headers: pages, files, refusals, errors.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 65_536
"""The longest form is an answer of 4,000 characters; percent-encoded, each takes up to 12 bytes."""

MISDIRECTED = 421
CONTENT_TOO_LARGE = 413

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)

SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    # `no-referrer` would make browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Refuses foreign host names and large bodies; adds the security headers to everything.

    The host check is what stops DNS rebinding: a page elsewhere can point its own name at this
    machine, but its requests then carry that name.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                dress(MutableHeaders(scope=message))
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self.app(scope, _bounded(receive), send_guarded)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host = host_name(headers.get("host", ""))
        if host not in self.hosts:
            return PlainTextResponse(
                f"unknown host {host!r}; add it to console.allowed_hosts", MISDIRECTED
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return PlainTextResponse(f"body over {BODY_BYTES_MAX} bytes", CONTENT_TOO_LARGE)
        return None


def dress(headers: MutableHeaders) -> None:
    """Add the security headers, and forbid caching where a response does not allow it itself."""
    headers.update(SECURITY_HEADERS)
    headers.setdefault("cache-control", "no-store")


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _bounded(receive: Receive) -> Receive:
    """Stop reading a chunked body that grows over the bound, whatever length it announced."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                raise HTTPException(CONTENT_TOO_LARGE)
        return message

    return receive_bounded
