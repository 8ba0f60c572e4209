"""What a real gateway and the embedded model server answer, against OpenAI's OpenAPI document."""

import http.client
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.compat.scripted_model import CompatGateway, ScriptedModel
from tests.contract.test_model_server import free_port, start_process
from tests.openai_document import valid

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Say a sentence."}]}
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"at": {"type": "string"}}}
FUNCTION = {"name": "look", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]
FLAT = [{"type": "function", **FUNCTION, "strict": False}]
USAGE = {"stream_options": {"include_usage": True}}
UPSTREAMS = ("talk", "gpt", "claude")


class Answer(NamedTuple):
    """A status, and the JSON documents that came: one, or one an event."""

    status: int
    documents: list[Any]


def ask(port: int, path: str, body: Any = None, key: str = "") -> Answer:
    """One request; an answer that is cut off is what came of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("GET" if body is None else "POST", path, content, headers)
        response = connection.getresponse()
        try:
            text = response.read().decode()
        except http.client.IncompleteRead as cut:
            text = cut.partial.decode()
    finally:
        connection.close()
    if response.headers["content-type"].startswith("text/event-stream"):
        lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        return Answer(response.status, [json.loads(x) for x in lines if x != "[DONE]"])
    return Answer(response.status, [json.loads(text)])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompatGateway]:
    with ScriptedModel().running() as upstream:
        running = CompatGateway(tmp_path_factory.mktemp("openapi") / "var", upstream.port)
        yield running
        running.process.kill()
        running.process.communicate()


def checked(gateway: CompatGateway, schema: str, path: str, body: Any = None) -> Answer:
    """Every document of a successful answer is what the schema says."""
    answer = ask(gateway.port, path, body, gateway.key)
    assert answer.status == 200, answer
    assert answer.documents
    for document in answer.documents:
        valid(schema, document)
    return answer


def test_models(gateway: CompatGateway) -> None:
    checked(gateway, "ListModelsResponse", "/v1/models")
    checked(gateway, "Model", "/v1/models/talk")


@pytest.mark.parametrize("model", UPSTREAMS)
def test_chat(gateway: CompatGateway, model: str) -> None:
    for fields in ({}, {"tools": TOOLS}, {"max_tokens": 9}):
        asked = {"model": model, **CHAT, **fields}
        checked(gateway, "CreateChatCompletionResponse", "/v1/chat/completions", asked)
        for more in ({}, USAGE):
            checked(
                gateway,
                "CreateChatCompletionStreamResponse",
                "/v1/chat/completions",
                {**asked, "stream": True, **more},
            )


@pytest.mark.parametrize("model", [*UPSTREAMS, "native"])
def test_responses(gateway: CompatGateway, model: str) -> None:
    for fields in ({}, {"tools": FLAT}, {"instructions": "x", "temperature": 0.5}):
        asked = {"model": model, "input": "x", **fields}
        checked(gateway, "Response", "/v1/responses", asked)
        told = checked(gateway, "ResponseStreamEvent", "/v1/responses", {**asked, "stream": True})
        assert told.documents[-1]["type"] == "response.completed"


def test_completions_with_their_usage_asked_for_and_hidden(gateway: CompatGateway) -> None:
    for fields in ({}, {"stream": True}, {"stream": True, **USAGE}):
        body = {"model": "talk", "prompt": "x", **fields}
        checked(gateway, "CreateCompletionResponse", "/v1/completions", body)


def test_embeddings(gateway: CompatGateway) -> None:
    body = {"model": "talk", "input": ["a", "b"]}
    checked(gateway, "CreateEmbeddingResponse", "/v1/embeddings", body)


REFUSED: list[tuple[int, str, Any]] = [
    (400, "/v1/chat/completions", {"model": "talk", "messages": []}),
    (400, "/v1/chat/completions", {"model": "strict", **CHAT}),
    (400, "/v1/chat/completions", b"{"),
    (400, "/v1/responses", {"model": "talk", "input": "x", "store": True}),
    (400, "/v1/embeddings", {"model": "claude", "input": "x"}),
    (404, "/v1/chat/completions", {"model": "gpt-99", **CHAT}),
    (404, "/v1/models/gpt-99", None),
    (404, "/v1/nowhere", None),
    (405, "/v1/embeddings", None),
    (429, "/v1/chat/completions", {"model": "busy", **CHAT}),
    (429, "/v1/responses", {"model": "busy", "input": "x", "stream": True}),
    (502, "/v1/chat/completions", {"model": "ill", **CHAT}),
    (502, "/v1/chat/completions", {"model": "locked", **CHAT, "stream": True}),
]


@pytest.mark.parametrize(("status", "path", "body"), REFUSED)
def test_errors(gateway: CompatGateway, status: int, path: str, body: Any) -> None:
    answer = ask(gateway.port, path, body, gateway.key)
    assert answer.status == status
    valid("ErrorResponse", answer.documents[0])


def test_the_error_of_a_stranger(gateway: CompatGateway) -> None:
    answer = ask(gateway.port, "/v1/models", key="wrong")
    assert answer.status == 401
    valid("ErrorResponse", answer.documents[0])


def test_the_error_at_the_end_of_a_broken_stream(gateway: CompatGateway) -> None:
    body = {"model": "dropping", **CHAT, "stream": True}
    *words, error = ask(gateway.port, "/v1/chat/completions", body, gateway.key).documents
    assert len(words) == 2
    valid("ErrorResponse", error)
    told = ask(
        gateway.port,
        "/v1/responses",
        {"model": "dropping", "input": "x", "stream": True},
        gateway.key,
    )
    for event in told.documents:
        valid("ResponseStreamEvent", event)
    assert told.documents[-1]["type"] in ("error", "response.failed")


# -- the embedded model server -----------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    process = start_process(port, tmp_path_factory.mktemp("embedded"))
    yield port
    process.terminate()
    process.wait(30)


def test_the_embedded_model_server(embedded: int) -> None:
    asked = {"model": "toy", **CHAT}
    path = "/v1/chat/completions"
    wanted = [
        ("ListModelsResponse", 200, "/v1/models", None),
        ("CreateChatCompletionResponse", 200, path, asked),
        ("CreateChatCompletionStreamResponse", 200, path, {**asked, "stream": True}),
        ("CreateChatCompletionStreamResponse", 200, path, {**asked, "stream": True, **USAGE}),
        ("ErrorResponse", 404, path, {**asked, "model": "none"}),
        ("ErrorResponse", 400, path, {"model": "toy", "messages": "x"}),
    ]
    for schema, status, at, body in wanted:
        answer = ask(embedded, at, body)
        assert answer.status == status
        assert answer.documents
        for document in answer.documents:
            valid(schema, document)
