"""Which address is which dialect: what is asked, where the model's name stands, how keys come.

Sources: the OpenAI API reference; Azure OpenAI REST reference (data plane, inference and v1);
platform.claude.com/docs/en/api/messages.
"""

from typing import Final, Literal
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

from quartermaster.gateway.dialects.errors import Shape
from quartermaster.gateway.refusals import refused
from quartermaster.kernel.errors import RefusedError

Operation = Literal[
    "chat.completions",
    "completions",
    "embeddings",
    "responses",
    "responses.stored",
    "messages",
    "messages.count_tokens",
    "moderations",
    "images.generations",
    "images.edits",
    "images.variations",
    "audio.transcriptions",
    "audio.translations",
    "audio.speech",
    "models",
    "models.retrieve",
]
ModelAt = Literal["body", "path", "form", "none"]
"""Where the model's name stands; `form` is a field of a multipart body."""

KEY_HEADERS: Final[dict[Shape, tuple[str, ...]]] = {
    "openai": ("authorization", "api-key", "x-api-key"),
    "azure": ("api-key", "authorization"),
    "anthropic": ("x-api-key", "authorization"),
}
"""Headers that may carry the key, the usual one first; `authorization` carries `Bearer <key>`."""

# Addresses here know one parameter; a query of hundreds is an attack on the parser.
QUERY_FIELDS_MAX: Final = 64

PATHS: Final[dict[Operation, str]] = {
    "chat.completions": "chat/completions",
    "completions": "completions",
    "embeddings": "embeddings",
    "responses": "responses",
    "moderations": "moderations",
    "images.generations": "images/generations",
    "images.edits": "images/edits",
    "images.variations": "images/variations",
    "audio.transcriptions": "audio/transcriptions",
    "audio.translations": "audio/translations",
    "audio.speech": "audio/speech",
    "messages": "messages",
}
"""Where an operation is, behind the `/v1` of whoever speaks it."""
_NOT_DEPLOYED: Final = frozenset(("responses", "moderations", "messages", "images.variations"))
DEPLOYED: Final[tuple[Operation, ...]] = tuple(
    operation for operation in PATHS if operation not in _NOT_DEPLOYED
)
"""What an Azure deployment can be asked for."""
FORMS: Final[frozenset[Operation]] = frozenset(
    ("images.edits", "images.variations", "audio.transcriptions", "audio.translations")
)
"""Operations whose body is multipart; an edit of images may be JSON as well."""

_AZURE_PREFIX: Final = "/openai/"
_AZURE_DEPLOYMENTS: Final = "/openai/deployments/"
_AZURE_V1: Final = "/openai/v1/"


class Route(msgspec.Struct, frozen=True):
    """One operation as one face offers it."""

    method: str
    operation: Operation
    shape: Shape = "openai"
    model_at: ModelAt = "body"

    @property
    def key_headers(self) -> tuple[str, ...]:
        """The headers that may carry the key."""
        return KEY_HEADERS[self.shape]


class Match(msgspec.Struct, frozen=True):
    """A request's route, with what stood in its address."""

    route: Route
    name: str = ""
    """The deployment or model that the path names."""
    api_version: str = ""


def _paths(shape: Shape, model_at: ModelAt) -> dict[str, Route]:
    """The inference operations that OpenAI and Azure deployments share."""
    form: ModelAt = "form" if model_at == "body" else model_at
    return {
        PATHS[operation]: Route("POST", operation, shape, form if operation in FORMS else model_at)
        for operation in DEPLOYED
    }


def _v1(shape: Shape) -> dict[str, Route]:
    return {
        **_paths(shape, "body"),
        PATHS["responses"]: Route("POST", "responses", shape),
        PATHS["moderations"]: Route("POST", "moderations", shape),
        PATHS["images.variations"]: Route("POST", "images.variations", shape, "form"),
        "models": Route("GET", "models", shape, "none"),
    }


_DEPLOYMENT: Final = _paths("azure", "path")
# Preview addresses of Azure that stand beside the deployments.
_AZURE: Final = {
    "responses": Route("POST", "responses", "azure"),
    "models": Route("GET", "models", "azure", "none"),
}
_EXACT: Final[dict[str, Route]] = {
    **{f"/v1/{path}": route for path, route in _v1("openai").items()},
    **{f"{_AZURE_V1}{path}": route for path, route in _v1("azure").items()},
    **{f"{_AZURE_PREFIX}{path}": route for path, route in _AZURE.items()},
    "/v1/messages": Route("POST", "messages", "anthropic"),
    "/v1/messages/count_tokens": Route("POST", "messages.count_tokens", "anthropic"),
}
_MODEL: Final = {
    "/v1/models/": Route("GET", "models.retrieve", "openai", "path"),
    "/openai/v1/models/": Route("GET", "models.retrieve", "azure", "path"),
    "/openai/models/": Route("GET", "models.retrieve", "azure", "path"),
}
_STORED: Final = ("/v1/responses/", "/openai/v1/responses/", "/openai/responses/")


def path_of(target: bytes) -> bytes:
    """The path of a request target in origin form or absolute form (RFC 9112, 3.2)."""
    if not target.startswith(b"/"):
        _, separator, rest = target.partition(b"://")
        target = rest[rest.find(b"/") :] if separator and b"/" in rest else target
    return target.partition(b"?")[0]


def shape_of(path: str) -> Shape:
    """In which shape errors about an address are told, also where it is no route."""
    if path.startswith(_AZURE_PREFIX):
        return "azure"
    return "anthropic" if path.startswith("/v1/messages") else "openai"


def match(method: str, path: str, query: str = "") -> Match:
    """The route of a request.

    Args:
        method: the HTTP method.
        path: the path, still percent-encoded, without the query.
        query: what stands behind the question mark.

    Raises:
        RefusedError: 404 for no such address, 405 for another method, 400 without `api-version`
            where Azure demands one.
    """
    found = _EXACT.get(path)
    if found is not None:
        version = _version(path, query) if found.shape == "azure" else ""
        return Match(_checked(found, method), api_version=version)
    if path.startswith(_AZURE_DEPLOYMENTS):
        return _deployment(method, path, query)
    for prefix, route in _MODEL.items():
        if path.startswith(prefix) and len(path) > len(prefix):
            version = _version(path, query) if route.shape == "azure" else ""
            return Match(_checked(route, method), _plain(path[len(prefix) :]), version)
    if path.startswith(_STORED):
        return Match(Route(method, "responses.stored", shape_of(path), "none"))
    raise refused("unknown_url", f"Unknown request URL: {path}.")


def _deployment(method: str, path: str, query: str) -> Match:
    name, _, rest = path.removeprefix(_AZURE_DEPLOYMENTS).partition("/")
    route = _DEPLOYMENT.get(rest)
    if route is None or not name:
        raise refused("unknown_url", f"Unknown request URL: {path}.")
    return Match(_checked(route, method), _plain(name), _version(path, query))


def _checked(route: Route, method: str) -> Route:
    if method != route.method:
        raise refused(
            "method_not_allowed", f"{method} is not allowed here.", hint=f"Use {route.method}."
        )
    return route


def _version(path: str, query: str) -> str:
    """The `api-version`; every value is served the same, and only v1 paths may leave it out."""
    try:
        asked = parse_qs(query, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise refused("unsupported_value", "The query has too many parameters.") from error
    version = asked.get("api-version", [""])[0]
    if not version and not path.startswith(_AZURE_V1):
        raise _no_version()
    return version


def _no_version() -> RefusedError:
    return refused(
        "missing_required_parameter",
        "Missing required query parameter: 'api-version'.",
        param="api-version",
        hint="Add ?api-version=2024-10-21, or use the /openai/v1/ addresses.",
    )


def _plain(name: str) -> str:
    return unquote_to_bytes(name).decode("utf-8", "replace")
