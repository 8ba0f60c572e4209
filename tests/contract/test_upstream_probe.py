"""`quartermaster upstream`: model servers that answer, count, refuse or are away."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from tests.contract.dialect_server import Answer, DialectServer, chat, refuse
from tests.contract.gateway_process import ENVELOPE, STREAM_HEAD, USAGE, chunk, frame, plain

from quartermaster.app.upstream_probe import ANSWER_BYTES_MAX, probe
from quartermaster.cli.main import run
from quartermaster.kernel.snapshot import Deployment

SECRET = "sk-upstream"
Body = dict[str, Any]


async def uncounted(asked: Body, writer: asyncio.StreamWriter) -> None:
    """An answer and no usage."""
    body = {**ENVELOPE, "choices": []}
    if asked.get("stream"):
        writer.write(STREAM_HEAD + chunk(frame(body)) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    else:
        writer.write(plain("200 OK", body))


async def absurd(asked: Body, writer: asyncio.StreamWriter) -> None:
    """More cached tokens than there are."""
    used = {**USAGE, "prompt_tokens_details": {"cached_tokens": 10_000}}
    writer.write(plain("200 OK", {**ENVELOPE, "choices": [], "usage": used}))


async def modern(asked: Body, writer: asyncio.StreamWriter) -> None:
    """A model that refuses the older name of the output limit."""
    if "max_tokens" in asked:
        said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        writer.write(plain("400 Bad Request", {"error": {"message": said}}))
    else:
        await chat({**asked, "max_tokens": asked["max_completion_tokens"]}, writer)


async def breaking(asked: Body, writer: asyncio.StreamWriter) -> None:
    """An error in place of the answer, after the head."""
    error = {"error": {"message": "out of\x1b[31m memory"}}
    writer.write(STREAM_HEAD + chunk(frame(error)) + b"0\r\n\r\n")


async def endless(asked: Body, writer: asyncio.StreamWriter) -> None:
    """More than a probe reads."""
    writer.write(STREAM_HEAD)
    for _ in range(ANSWER_BYTES_MAX // 60_000 + 2):
        writer.write(chunk(b"data: " + b"x" * 60_000 + b"\n\n"))
        await writer.drain()


async def dripping(asked: Body, writer: asyncio.StreamWriter) -> None:
    """Always another chunk, just in time."""
    writer.write(STREAM_HEAD)
    while not writer.is_closing():
        writer.write(chunk(b": wait\n\n"))
        await writer.drain()
        await asyncio.sleep(0.05)


class Servers(DialectServer):
    """Every misbehaviour by the model's name."""

    refusing: ClassVar[dict[str, Answer]] = {
        "busy": refuse,
        "uncounted": uncounted,
        "absurd": absurd,
        "modern": modern,
        "breaking": breaking,
        "endless": endless,
        "dripping": dripping,
    }


@pytest.fixture(scope="module")
def upstream() -> Iterator[DialectServer]:
    with Servers().running() as server:
        assert isinstance(server, DialectServer)
        yield server


class Done(NamedTuple):
    """What became of a command."""

    exit_code: int
    stdout: str
    stderr: str


class Shop:
    """A data folder and its command line."""

    def __init__(self, var: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.var, self._capsys = var, capsys

    def __call__(self, *arguments: str) -> Done:
        self._capsys.readouterr()
        code = run(["--var", str(self.var), *arguments])
        return Done(code, *self._capsys.readouterr())

    def deploy(self, port: int, name: str, *more: str, path: str = "/v1") -> None:
        """Add a deployment of the model of its own name."""
        url = f"http://127.0.0.1:{port}{path}"
        where = ("--model", name, "--url", url, "--secret-file", "secrets/upstream")
        made = self("deployment", "set", name, *where, *more)
        assert made.exit_code == 0, made.stderr


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    return Shop(tmp_path, capsys)


def test_servers_of_every_dialect_are_asked_as_the_gateway_asks(
    shop: Shop, upstream: DialectServer
) -> None:
    (shop.var / "secrets").mkdir()
    (shop.var / "secrets" / "upstream").write_text(f"{SECRET}\n")
    theirs = ("--upstream-model", "theirs")
    shop.deploy(upstream.port, "plain-one", *theirs)
    shop.deploy(upstream.port, "claude", *theirs, "--api", "anthropic")
    shop.deploy(upstream.port, "gpt", *theirs, "--api", "azure", path="")
    shop.deploy(upstream.port, "modern")
    upstream.heads.clear()
    done = shop("upstream", "probe", "--json")
    assert done.exit_code == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["deployment"], one["stream"]) for one in found] == [
        (name, stream)
        for name in ("plain-one", "claude", "gpt", "modern")
        for stream in (False, True)
    ]
    assert {one["status"] for one in found} == {200}
    assert {one["problem"] for one in found} == {""}
    counted = {(one["deployment"], one["input_tokens"], one["output_tokens"]) for one in found}
    chatted = (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    # Seven tokens of input beside two written to the cache and four read from it.
    assert counted == {
        ("plain-one", *chatted),
        ("gpt", *chatted),
        ("modern", *chatted),
        ("claude", 13, 3),
    }
    assert all(SECRET in head for head in upstream.heads)
    assert SECRET not in done.stdout + done.stderr


def test_embeddings_are_asked_for_by_name(shop: Shop, upstream: DialectServer) -> None:
    shop.deploy(upstream.port, "vectors", "--upstream-model", "theirs")
    done = shop("upstream", "probe", "vectors", "--endpoint", "embeddings")
    assert done.exit_code == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("vectors  plain   200  first byte ")
    assert line.endswith("8 input, 0 output tokens")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("busy", 6, "refused: slow down"),
        ("breaking", 6, "refused: out of [31m memory"),
        ("uncounted", 3, "no usage: its rows will say estimated"),
        ("absurd", 3, "usage_parts_exceed_total: its rows will say estimated"),
        ("endless", 6, f"no answer: the answer is larger than {ANSWER_BYTES_MAX} bytes"),
    ],
)
def test_what_is_wrong_is_said(
    shop: Shop, upstream: DialectServer, name: str, code: int, said: str
) -> None:
    shop.deploy(upstream.port, name)
    done = shop("upstream", "probe", name)
    assert done.exit_code == code, done.stderr
    assert said in done.stdout
    assert name in done.stderr


def test_an_answer_that_takes_too_long_is_left(upstream: DialectServer) -> None:
    slow = Deployment("slow", "slow", f"http://127.0.0.1:{upstream.port}/v1", "dripping")
    found = probe(slow, "", stream=True, endpoint="chat.completions", timeout_s=0.3)
    assert found.problem == "no answer within 0.3 s"


def test_a_server_that_is_away(shop: Shop) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        shop.deploy(held.getsockname()[1], "away")
        done = shop("upstream", "probe")
    assert done.exit_code == 6
    assert "away  plain   down  no answer: " in done.stdout
    assert "check --url" in done.stderr
    unknown = shop("upstream", "probe", "nobody")
    assert unknown.exit_code == 1
    assert "deployment list" in unknown.stderr


def test_servers_are_listed_by_address(shop: Shop) -> None:
    shop.deploy(8000, "one")
    shop.deploy(8000, "two")
    shop.deploy(8001, "three", "--api", "anthropic")
    drained = shop("deployment", "drain", "two", "--reason", "moves")
    assert drained.exit_code == 0, drained.stderr
    listed = shop("upstream", "list", "--json")
    first, second = json.loads(listed.stdout)
    assert first == {
        "url": "http://127.0.0.1:8000/v1",
        "apis": ["openai"],
        "deployments": ["one", "two"],
        "models": ["one", "two"],
        "drained": ["two"],
        "secret_files": ["secrets/upstream"],
        "secrets_missing": ["secrets/upstream"],
    }
    assert (second["apis"], second["deployments"]) == (["anthropic"], ["three"])
    shown = shop("upstream", "list")
    assert "deployments: one, two; drained: two" in shown.stdout
    assert shown.stderr.count("secrets/upstream") == 2
