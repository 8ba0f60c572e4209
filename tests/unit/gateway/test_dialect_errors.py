"""Saying no in the shape that each SDK knows.

Shapes: platform.openai.com/docs/guides/error-codes, platform.claude.com/docs/en/api/errors, and
what Azure OpenAI answers.
"""

import json
from typing import Any

import pytest

from quartermaster.gateway.dialects.errors import Shape, refusal_body, upstream_body
from quartermaster.gateway.refusals import error_body, refused


def told(shape: Shape, code: str, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(refusal_body(shape, refused(code, "No.", **fields), "req_1"))
    return body


def test_openai_is_told_as_before() -> None:
    refusal = refused("model_not_found", "No.", param="model", hint="Ask for another.")
    assert refusal_body("openai", refusal) == error_body(refusal)


def test_azure() -> None:
    assert told("azure", "invalid_api_key")["error"]["code"] == "401"
    assert told("azure", "model_not_found")["error"]["code"] == "DeploymentNotFound"
    assert told("azure", "invalid_type", param="stream")["error"] == {
        "code": "invalid_type",
        "message": "No.",
        "param": "stream",
        "type": "invalid_request_error",
    }


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_json", "invalid_request_error"),
        ("invalid_api_key", "authentication_error"),
        ("account_suspended", "permission_error"),
        ("model_not_found", "not_found_error"),
        ("request_too_large", "request_too_large"),
        ("headers_too_large", "invalid_request_error"),
        ("meter_unavailable", "api_error"),
        ("upstream_timeout", "timeout_error"),
    ],
)
def test_anthropic(code: str, kind: str) -> None:
    assert told("anthropic", code) == {
        "error": {"type": kind, "message": "No."},
        "request_id": "req_1",
        "type": "error",
    }


CLAUDE = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
OPENAI = {
    "error": {"message": "Too long", "type": "invalid_request_error", "param": "x", "code": "y"}
}
# learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
AZURE = {
    "error": {
        "message": "Filtered",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (OPENAI, "Too long"),
        (CLAUDE, "Overloaded"),
        (AZURE, "Filtered"),
        ({"error": "model not found"}, "model not found"),
        ({"object": "error", "message": "context too long", "code": 400}, "context too long"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"msg": "x"}]}, "The model server refused the request with status 400."),
        ({}, "The model server refused the request with status 400."),
    ],
)
def test_the_words_of_an_upstream_of_any_dialect(body: Any, words: str) -> None:
    raw = json.dumps(body).encode()
    assert json.loads(upstream_body("openai", 400, raw))["error"]["message"] == words
    claude = json.loads(upstream_body("anthropic", 400, raw))["error"]
    assert claude == {"type": "invalid_request_error", "message": words}
    assert json.loads(upstream_body("azure", 400, raw))["error"]["message"] == words


def test_what_is_known_of_an_error_stays() -> None:
    seen = json.loads(upstream_body("openai", 400, json.dumps(OPENAI).encode()))
    assert seen == OPENAI
    seen = json.loads(upstream_body("azure", 400, json.dumps(AZURE).encode()))["error"]
    assert (seen["code"], seen["param"]) == ("content_filter", "prompt")


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", b'{"error":' + b"[" * 90_000])
def test_nonsense_has_no_words(body: bytes) -> None:
    seen = json.loads(upstream_body("openai", 502, body))["error"]
    assert seen["message"] == "The model server refused the request with status 502."
    assert seen["type"] == "server_error"


def test_a_long_sentence_is_cut() -> None:
    body = json.dumps({"error": {"message": "x" * 9_999}}).encode()
    assert len(json.loads(upstream_body("openai", 400, body))["error"]["message"]) == 2_000
