"""The model server as the `openai` SDK and plain sockets meet it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import pytest
import uvicorn

from quartermaster.kernel.errors import UnavailableError
from quartermaster.model.chat import Message
from quartermaster.model.generation import (
    BusyError,
    Deliver,
    Delta,
    Failed,
    Finished,
    Prompt,
    Sampling,
)
from quartermaster.model.server import BODY_BYTES_MAX, ModelServer, run
from quartermaster.model.settings import ModelSettings
from quartermaster.model.start import Engines
from quartermaster.model.toy import ToyEngine, tokenise

DEADLINE_S = 30.0

SERVE = """
import sys
from pathlib import Path
from quartermaster.model.server import run
from quartermaster.model.settings import ModelSettings
sys.exit(run(ModelSettings(engine="auto", port=int(sys.argv[1])), var=Path(sys.argv[2])))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def start_process(port: int, var: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(port), str(var)])
    # The listener exists before the engines, so being connectable is not yet being up.
    until(lambda: answers(port) and health(port)["status"] == "ok")
    return process


def health(port: int) -> dict[str, object]:
    with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE_S) as reply:
        body: dict[str, object] = json.load(reply)
        return body


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real server process in an empty data folder: only the toy can be up."""
    port = free_port()
    process = start_process(port, tmp_path_factory.mktemp("var"))
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0


@pytest.fixture(scope="module")
def client(port: int) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)


def test_plain(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="toy", messages=[{"role": "user", "content": "What is a harbour?"}], seed=3
    )
    text = reply.choices[0].message.content
    assert text
    assert "toy model" in text
    assert reply.choices[0].finish_reason == "stop"
    usage = reply.usage
    assert usage is not None
    assert usage.completion_tokens == len(tokenise(text))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.model_extra == {"count_source": "engine"}


def test_a_stream_carries_the_same_text_and_usage(client: openai.OpenAI) -> None:
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [
        {"role": "user", "content": "What is a harbour?"}
    ]
    whole = client.chat.completions.create(model="toy", messages=messages, seed=3)
    chunks = list(
        client.chat.completions.create(
            model="toy",
            messages=messages,
            seed=3,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_a_stream_without_options_has_no_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="toy", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_choices_differ_and_the_first_is_the_single_one(client: openai.OpenAI) -> None:
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [
        {"role": "user", "content": "Hi"}
    ]
    one = client.chat.completions.create(model="toy", messages=messages, seed=1, temperature=1)
    four = client.chat.completions.create(
        model="toy", messages=messages, seed=1, temperature=1, n=4
    )
    texts = [choice.message.content for choice in four.choices]
    assert texts[0] == one.choices[0].message.content
    assert len(set(texts)) > 1
    assert [choice.index for choice in four.choices] == [0, 1, 2, 3]
    assert four.usage is not None
    assert four.usage.completion_tokens == sum(len(tokenise(text or "")) for text in texts)


def test_the_list_of_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["toy"]


def test_errors_have_openais_shape(client: openai.OpenAI) -> None:
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [
        {"role": "user", "content": "Hi"}
    ]
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nix", messages=messages)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert unknown.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError) as range_error:
        client.chat.completions.create(model="toy", messages=messages, temperature=3)
    assert range_error.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as too_long:
        client.chat.completions.create(
            model="toy", messages=[{"role": "user", "content": "a b " * 5_000}]
        )
    assert too_long.value.code == "context_length_exceeded"


def test_the_real_model_is_refused_by_name_while_only_the_toy_is_up(
    client: openai.OpenAI, port: int
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model="smollm2-135m-instruct", messages=[{"role": "user", "content": "Hi"}]
        )
    assert caught.value.status_code == 503
    assert "no weights" in caught.value.message
    state = health(port)
    assert state["engine"] == "toy"
    assert "quartermaster model pull" in str(state["fallback_reason"])


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b" " * (BODY_BYTES_MAX + 1), 413),
        ("/v1/chat/completions", None, 404),
        ("/v1/nothing", None, 404),
    ],
)
def test_odd_requests_get_json_errors(
    port: int, path: str, data: bytes | None, status: int
) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(f"http://127.0.0.1:{port}{path}", data=data), timeout=DEADLINE_S)
    assert caught.value.code == status
    assert set(json.load(caught.value)["error"]) == {"message", "type", "param", "code"}


def test_a_taken_port_is_named(port: int, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=str(port)):
        run(ModelSettings(engine="toy", port=port), var=tmp_path)


class Held:
    """An engine whose answers go on until they are cancelled, or break when told to."""

    model = "held"
    context_tokens = 100
    failure = ""

    def __init__(self) -> None:
        self.open: list[Deliver] = []
        self.room = 2

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        return Prompt((1, 2, 3))

    def start(self, prompt: Prompt, sampling: Sampling, deliver: Deliver) -> "HeldTicket":
        if len(self.open) >= self.room:
            raise BusyError
        self.open.append(deliver)
        deliver(Delta("begun", 1))
        return HeldTicket(self, deliver)

    def load(self) -> tuple[int, int]:
        return len(self.open), 0

    def close(self) -> None:
        for deliver in self.open:
            deliver(Failed("closed"))


def test_a_failed_engine_ends_the_server_so_that_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, port = Held(), free_port()
    monkeypatch.setattr(
        "quartermaster.model.server.start_engines", lambda *_: Engines({"held": engine}, "held")
    )

    def fail() -> None:
        until(lambda: answers(port))
        engine.failure = "the runtime broke"

    threading.Thread(target=fail, daemon=True).start()
    with pytest.raises(UnavailableError, match="the runtime broke"):
        run(ModelSettings(port=port), var=tmp_path)


class HeldTicket:
    """One held answer."""

    def __init__(self, engine: Held, deliver: Deliver) -> None:
        self._engine, self._deliver = engine, deliver

    def cancel(self) -> None:
        if self._deliver in self._engine.open:
            self._engine.open.remove(self._deliver)


@pytest.fixture
def held() -> Iterator[tuple[Held, int]]:
    engine, port = Held(), free_port()
    app = ModelServer(Engines({"held": engine, "toy": ToyEngine()}, "held")).app()
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: answers(port))
    yield engine, port
    server.should_exit = True
    thread.join(DEADLINE_S)


def raw_request(port: int, *, stream: bool, n: int = 1) -> socket.socket:
    body = json.dumps(
        {
            "model": "held",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": stream,
            "n": n,
        }
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot(held: tuple[Held, int], stream: bool) -> None:
    engine, port = held
    connection = raw_request(port, stream=stream)
    until(lambda: len(engine.open) == 1)
    connection.close()
    until(lambda: not engine.open)


def test_a_full_queue_is_429_with_retry_after_and_holds_nothing(held: tuple[Held, int]) -> None:
    engine, port = held
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model="held", messages=[{"role": "user", "content": "Hi"}], n=3
        )
    assert int(caught.value.response.headers["retry-after"]) > 0
    assert caught.value.code == "engine_busy"
    assert engine.open == []


def test_an_engine_that_breaks_ends_both_kinds_with_an_error(held: tuple[Held, int]) -> None:
    engine, port = held
    streaming, plain = raw_request(port, stream=True), raw_request(port, stream=False)
    until(lambda: len(engine.open) == 2)
    for deliver in list(engine.open):
        deliver(Failed("the runtime broke"))
    replies = []
    for connection in (streaming, plain):
        data = b""
        while b"the runtime broke" not in data:
            received = connection.recv(65_536)
            assert received, data
            data += received
        replies.append(data)
        connection.close()
    assert b"200 OK" in replies[0]
    assert b"[DONE]" not in replies[0]
    assert b"503" in replies[1].splitlines()[0]


def test_finished_answers_need_no_cancelling(held: tuple[Held, int]) -> None:
    engine, port = held
    connection = raw_request(port, stream=True)
    until(lambda: len(engine.open) == 1)
    engine.open[0](Finished("stop", 1))
    data = b""
    while b"[DONE]" not in data:
        data += connection.recv(65_536)
    connection.close()
    until(lambda: not engine.open)


def test_sigterm_ends_it_with_zero_despite_an_idle_connection(tmp_path: Path) -> None:
    port = free_port()
    process = start_process(port, tmp_path)
    idle = socket.create_connection(("127.0.0.1", port))
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    idle.close()
