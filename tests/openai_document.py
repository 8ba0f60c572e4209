"""OpenAI's public OpenAPI document as validators, where it is there.

The document mixes OpenAPI 3.0's `nullable` into 3.1; it is rewritten as it is read. Nothing of it
is copied into the repository.
"""

import gzip
import json
from functools import cache
from typing import Any

import jsonschema_rs
from tests.public_data import public_file


def without_nullable(node: Any) -> Any:
    """`nullable: true` as a union with null."""
    if isinstance(node, list):
        return [without_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    seen = {key: without_nullable(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [seen, {"type": "null"}]} if node.get("nullable") is True else seen


@cache
def document() -> dict[str, Any]:
    packed = public_file("openapi/openai-openapi.json.gz").read_bytes()
    spec: dict[str, Any] = without_nullable(json.loads(gzip.decompress(packed)))
    return spec


@cache
def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def valid(name: str, body: Any) -> None:
    """The body is what the document calls by this name."""
    found = validator(name).iter_errors(body)
    errors = [f"{error.instance_path}: {error.message}" for error in found]
    assert errors == [], json.dumps(body)
