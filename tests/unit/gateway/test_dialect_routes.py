"""Which address is which dialect."""

from typing import Any

import pytest

from quartermaster.gateway.dialects.azure import upstream_path
from quartermaster.gateway.dialects.routes import KEY_HEADERS, match, shape_of
from quartermaster.kernel.errors import RefusedError

VERSION = "api-version=2024-10-21"


@pytest.mark.parametrize(
    ("method", "path", "query", "operation", "shape", "model_at", "name"),
    [
        ("POST", "/v1/chat/completions", "", "chat.completions", "openai", "body", ""),
        ("POST", "/v1/responses", "", "responses", "openai", "body", ""),
        ("GET", "/v1/responses/resp_1", "", "responses.stored", "openai", "none", ""),
        ("POST", "/v1/embeddings", "", "embeddings", "openai", "body", ""),
        ("POST", "/v1/completions", "", "completions", "openai", "body", ""),
        ("POST", "/v1/images/edits", "", "images.edits", "openai", "form", ""),
        ("POST", "/v1/moderations", "", "moderations", "openai", "body", ""),
        ("GET", "/v1/models", "", "models", "openai", "none", ""),
        ("GET", "/v1/models/a%2Fb", "", "models.retrieve", "openai", "path", "a/b"),
        ("POST", "/v1/messages", "", "messages", "anthropic", "body", ""),
        ("POST", "/v1/messages/count_tokens", "", "messages.count_tokens", "anthropic", "body", ""),
        ("POST", "/openai/v1/responses", "", "responses", "azure", "body", ""),
        ("POST", "/openai/v1/chat/completions", VERSION, "chat.completions", "azure", "body", ""),
        (
            "POST",
            "/openai/deployments/my%20gpt/chat/completions",
            VERSION,
            "chat.completions",
            "azure",
            "path",
            "my gpt",
        ),
        ("POST", "/openai/deployments/e/embeddings", VERSION, "embeddings", "azure", "path", "e"),
        ("POST", "/openai/responses", VERSION, "responses", "azure", "body", ""),
    ],
)
def test_addresses(
    method: str, path: str, query: str, operation: str, shape: str, model_at: str, name: str
) -> None:
    found = match(method, path, query)
    route = found.route
    assert (route.operation, route.shape, route.model_at) == (operation, shape, model_at)
    assert found.name == name
    assert route.key_headers == KEY_HEADERS[route.shape]
    assert shape_of(path) == shape


@pytest.mark.parametrize(
    ("method", "path", "query", "code"),
    [
        ("POST", "/v1/nothing", "", "unknown_url"),
        ("POST", "/v1/models/", "", "unknown_url"),
        ("POST", "/openai/deployments/x/files", VERSION, "unknown_url"),
        ("POST", "/openai/deployments//embeddings", VERSION, "unknown_url"),
        ("GET", "/v1/chat/completions", "", "method_not_allowed"),
        ("DELETE", "/v1/messages", "", "method_not_allowed"),
        ("POST", "/openai/deployments/x/embeddings", "", "missing_required_parameter"),
        ("POST", "/openai/responses", "api-version=", "missing_required_parameter"),
        ("POST", "/openai/responses", "&".join(["a=1"] * 99), "unsupported_value"),
    ],
)
def test_wrong_addresses(method: str, path: str, query: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        match(method, path, query)
    assert caught.value.code == code


def test_an_azure_upstream() -> None:
    path: Any = upstream_path("chat.completions", "my/gpt", "2024-10-21")
    assert path == "/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"
    assert match("POST", *path.split("?")).name == "my/gpt"
