"""Where a request goes: deployments with their request heads encoded once a snapshot."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from quartermaster.gateway.dialects import azure
from quartermaster.gateway.dialects.routes import DEPLOYED, PATHS, Operation
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.snapshot import Deployment

_PORTS: Final = {"http": 80, "https": 443}
_JSON: Final = b"application/json\r\nx-request-id: "
_BEARER: Final = "authorization: Bearer "
_KEYS: Final = {"azure": f"{azure.KEY_HEADER}: ", "anthropic": "x-api-key: "}
# The only version of the Messages API there has been since 2023.
_ANTHROPIC_VERSION: Final = "anthropic-version: 2023-06-01"

# Later than any worker lives.
NEVER_S: Final = 1 << 40
_SETTINGS: Final = GatewaySettings()


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
    """The request head of a chat completion, up to and with `x-request-id: `; empty where the
    server is asked in another dialect."""
    heads: dict[Operation, bytes]
    """By what the server can be asked for: the request head up to and with `content-type: `."""
    connect_s: int
    """This and the other times: the deployment's own, else the gateway's setting."""
    first_byte_s: int
    idle_s: int
    total_s: int


def still_serving(
    targets: tuple[Target, ...], serving: tuple[Target, ...] | None
) -> tuple[Target, ...]:
    """Those of some deployments that serve by now, as a newer snapshot describes them.

    Args:
        targets: as they were when a request came.
        serving: whoever may serve it by the newest snapshot; None where there is no newer one.
    """
    if serving is None:
        return targets
    names = {one.deployment.name for one in targets}
    return tuple(one for one in serving if one.deployment.name in names)


def target(
    deployment: Deployment, secret: str = "", settings: GatewaySettings = _SETTINGS
) -> Target:
    """Encode a deployment.

    Args:
        deployment: its `url` ends in `/v1`, at Azure in the resource's host.
        secret: the key of the model server, or empty.
        settings: how patient the gateway is where the deployment does not say.

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
    heads = _heads(deployment, parts, secret)
    chat = heads.get("chat.completions", b"")
    routing = deployment.routing
    return Target(
        deployment,
        origin,
        f"{parts.scheme}://{origin.host}:{origin.port}",
        msgspec.json.encode(deployment.upstream_model),
        chat and chat + _JSON,
        heads,
        routing.connect_s or settings.connect_timeout_s,
        routing.first_byte_s or settings.first_byte_timeout_s,
        routing.idle_s or settings.idle_timeout_s,
        routing.total_s or NEVER_S,
    )


def _heads(deployment: Deployment, parts: SplitResult, secret: str) -> dict[Operation, bytes]:
    """The request head of everything that the server can be asked for."""
    base = parts.path.rstrip("/")
    asked: tuple[Operation, ...] = (*DEPLOYED, "moderations", "images.variations")
    if deployment.api == "anthropic":
        asked = ("messages",)
    elif deployment.api == "azure":
        asked = DEPLOYED
    elif deployment.api == "openai-responses":
        asked = (*asked, "responses")
    heads: dict[Operation, bytes] = {}
    for operation in asked:
        path = f"/{PATHS[operation]}"
        if deployment.api == "azure":
            path = azure.upstream_path(operation, deployment.upstream_model)
        lines = [
            f"POST {base}{path} HTTP/1.1",
            f"host: {parts.netloc.rpartition('@')[2]}",
            "accept-encoding: identity",
            *([_ANTHROPIC_VERSION] if deployment.api == "anthropic" else []),
            *([f"{_KEYS.get(deployment.api, _BEARER)}{secret}"] if secret else []),
            "content-type: ",
        ]
        heads[operation] = "\r\n".join(lines).encode("ascii")
    return heads


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
