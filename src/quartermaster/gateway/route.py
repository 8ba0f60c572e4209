"""Where a request goes: deployments with their request heads encoded once a snapshot."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.snapshot import Deployment

_PORTS: Final = {"http": 80, "https": 443}


class Origin(msgspec.Struct, frozen=True):
    """One host that connections are pooled for."""

    host: str
    port: int
    tls: bool


class Target(msgspec.Struct, frozen=True, gc=False):
    """A deployment ready for the hot path."""

    deployment: Deployment
    origin: Origin
    pool: str
    """Names the origin in look-ups: a string's hash is computed once, a struct's every time."""
    upstream_model: bytes
    """The JSON string of the model name that the upstream knows."""
    head: bytes
    """The request head up to and with `x-request-id: `."""


def target(deployment: Deployment, secret: str = "") -> Target:
    """Encode a deployment.

    Args:
        deployment: its `url` ends in `/v1`.
        secret: the bearer token of the model server, or empty.

    Raises:
        ConfigError: the URL or the secret cannot be sent.
    """
    parts, port = _split(deployment)
    if not secret.isascii() or not secret.isprintable():
        raise ConfigError(
            f"deployment {deployment.name}: the secret holds characters no header can carry",
            hint="put only the token into the secret file",
            field="secret_file",
        )
    origin = Origin(parts.hostname or "", port or _PORTS[parts.scheme], parts.scheme == "https")
    lines = [
        f"POST {parts.path.rstrip('/')}/chat/completions HTTP/1.1",
        f"host: {parts.netloc.rpartition('@')[2]}",
        "content-type: application/json",
        "accept-encoding: identity",
    ]
    if secret:
        lines.append(f"authorization: Bearer {secret}")
    lines.append("x-request-id: ")
    return Target(
        deployment,
        origin,
        f"{parts.scheme}://{origin.host}:{origin.port}",
        msgspec.json.encode(deployment.upstream_model),
        "\r\n".join(lines).encode("ascii"),
    )


def _split(deployment: Deployment) -> tuple[SplitResult, int | None]:
    url = deployment.url
    # urlsplit drops line breaks silently; what is left of such a URL must not become a header.
    plain = url.isascii() and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url)
        port = parts.port
        # A label that is empty or over 63 characters is found here, not at the first request.
        (parts.hostname or "").encode("idna")
    except ValueError:
        plain = False
    if not plain or parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigError(
            f"deployment {deployment.name}: {url!r} is not an http(s) URL",
            hint="write it as http://host:port/v1",
            field="url",
        )
    return parts, port


def choose(targets: tuple[Target, ...], turn: int) -> Target:
    """The deployment for this request: each in turn.

    Args:
        targets: the deployments that serve the model, at least one.
        turn: a number that the caller increments with every request.
    """
    return targets[turn % len(targets)] if len(targets) > 1 else targets[0]
