"""The OpenAPI document, made from the same rows and structs that answer requests."""

import inspect
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from quartermaster import __version__
from quartermaster.api.once import HEADER, KEY_CHARS_MAX
from quartermaster.api.operation import PREFIX, Operation
from quartermaster.api.problem import ErrorAnswer

Json = dict[str, Any]

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"
"""What stands in a path: ids that people chose, ids that we made, months."""

_REFERENCE = "#/components/schemas/{name}"
_NAMES = re.compile(r"\{(\w+)\}")
_TEXT: Json = {"type": "string"}

REFUSALS = {
    400: "the request cannot be used",
    401: "no token, or one that is revoked or expired",
    403: "the token's roles do not allow this",
    404: "there is no such thing, or it is not yours",
    409: "this contradicts what is written, or the key was used for another request",
    413: "the body is too large",
    415: "the body is of another media type",
    429: "this token has asked too many long questions at once",
    421: "the host name is not ours",
    500: "we failed",
    503: "a part is missing here or busy; try again",
}


def document(operations: Sequence[Operation]) -> Json:
    """OpenAPI 3.1, complete and self-contained."""
    kinds = _kinds(operations)
    references, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    by_kind = {id(kind): reference for kind, reference in zip(kinds, references, strict=True)}
    queries = {
        id(row.query): components[_name(by_kind[id(row.query)])] for row in operations if row.query
    }
    paths: dict[str, Json] = {}
    for row in operations:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, by_kind, queries)
    asked = {_name(by_kind[id(row.query)]) for row in operations if row.query}
    shown = {name: part for name, part in components.items() if name not in asked}
    found: Json = _trimmed(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Quartermaster",
                "version": __version__,
                "summary": "Agreements, keys, usage, invoices, and how much hangs on one customer.",
                "description": "Instants that are integers are microseconds UTC. Amounts are "
                "decimal strings in major units, or integers called `minor` in minor units.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": PREFIX}],
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "schemas": shown,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )
    return found


def _kinds(operations: Sequence[Operation]) -> list[Any]:
    """Every type that the document speaks of, once."""
    kinds: list[Any] = [ErrorAnswer]
    for row in operations:
        kinds += [row.answer, row.query, None if row.body is None else row.body.kind]
    return list({id(kind): kind for kind in kinds if kind is not None}.values())


def _operation(row: Operation, by_kind: dict[int, Json], queries: dict[int, Json]) -> Json:
    found: Json = {
        "operationId": row.name,
        "summary": row.summary,
        "tags": [row.tag],
        "x-roles": sorted(row.roles),
        "parameters": [*_path_parameters(row), *_query_parameters(row, queries)],
        "responses": {str(row.status): _content("answered", by_kind[id(row.answer)])},
    }
    if row.writes:
        found["parameters"].append(_idempotency_key())
    if row.body is not None:
        schema = _TEXT if row.body.kind is None else by_kind[id(row.body.kind)]
        content = {media_type: {"schema": schema} for media_type in row.body.media_types}
        found["requestBody"] = {"required": True, "content": content}
    for status in _refusals(row):
        found["responses"][str(status)] = _content(REFUSALS[status], by_kind[id(ErrorAnswer)])
    return found


def _refusals(row: Operation) -> list[int]:
    found = {400, 401, 403, 413, 421, 500, 503}
    if "{" in row.path or row.body is not None or row.query is not None or row.lacks:
        found.add(404)
    if row.writes or row.conflicts or row.method == "PUT":
        found.add(409)
    if row.heavy:
        found.add(429)
    if row.body is not None:
        found.add(415)
    return sorted(found)


def _content(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _path_parameters(row: Operation) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": ID_PATTERN},
        }
        for name in _NAMES.findall(row.path)
    ]


def _query_parameters(row: Operation, queries: dict[int, Json]) -> list[Json]:
    if row.query is None:
        return []
    kind = queries[id(row.query)]
    required = set(kind.get("required", ()))
    found = []
    for name, schema in kind["properties"].items():
        if name in row.without:
            continue
        inner = dict(schema)
        parameter: Json = {"name": name, "in": "query", "required": name in required}
        description = inner.pop("description", "")
        if description:
            parameter["description"] = description
        found.append({**parameter, "schema": _without_null(inner)})
    return found


def _without_null(schema: Json) -> Json:
    """A query leaves out what it does not say; it has no word for null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    kept = {name: value for name, value in schema.items() if name != "anyOf"}
    if kept.get("default", ...) is None:
        del kept["default"]
    if len(options) == 1:
        return {**options[0], **kept}
    return {**kept, "anyOf": options} if options else kept


def _idempotency_key() -> Json:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "The same key within a day: the same answer, and nothing is done twice.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX,
                   "pattern": "^[ -~]+$"},
    }  # fmt: skip


def _name(reference: Json) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _trimmed(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Descriptions without the indentation of the code that they stand in."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(part)
            if key == "description" and isinstance(part, str)
            else _trimmed(part)
            for key, part in value.items()
        }
    return [_trimmed(part) for part in value] if isinstance(value, list | tuple) else value
