"""`quartermaster request trace`: what the table has of a request, and what a worker remembers."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import new_table, ship, write_segment

from quartermaster.cli.main import run
from quartermaster.gateway.affinity import Affinity
from quartermaster.gateway.route import target
from quartermaster.gateway.router import Router
from quartermaster.gateway.trace_socket import LINE_BYTES_MAX, ask, listen
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.snapshot import Deployment
from quartermaster.kernel.units import Counts

REQUEST = usage_facts.request_id(1)
TARGETS = tuple(target(Deployment(name, "m", f"http://{name}.example/v1", "m")) for name in "ab")


@contextmanager
def answering(path: Path, router: Router) -> Iterator[None]:
    """A worker that can be asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    loop, ready = asyncio.new_event_loop(), threading.Event()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(listen(loop, path, router))
        ready.set()
        loop.run_forever()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def decided() -> Router:
    """A router that has sent one request to two deployments."""
    seconds = iter(range(100))
    router = Router(lambda: float(next(seconds)))
    route = router.route(TARGETS, Affinity(b"token", "user"))
    route.request_id = REQUEST
    route.elsewhere("429", 2.0)
    route.ended("")
    return router


def trace(var: Path, *words: str) -> int:
    return run(["--var", str(var), "request", "trace", *words])


def test_a_trace_joins_the_table_and_the_workers_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_vain = replace(usage_facts.closed(0, failure="upstream_busy"), cost_only=True)
    left = replace(usage_facts.closed(30), upstream_counts=Counts(input=100, output=90))
    attempts = [
        (usage_facts.opened(1, attempt=1), in_vain),
        (usage_facts.opened(1, attempt=2), left),
    ]
    write_segment(tmp_path / "wal" / "gateway-0", attempts)
    ship(tmp_path / "wal", new_table(tmp_path / "usage"))
    with answering(tmp_path / "status" / "gateway-0.sock", decided()):
        assert trace(tmp_path, REQUEST) == 0
        shown = capsys.readouterr().out
        assert trace(tmp_path, REQUEST, "--json") == 0
        document = msgspec.json.decode(capsys.readouterr().out)
    assert "attempt 1  embedded  upstream_busy  100 tokens, our cost only" in shown
    assert "130 tokens, the model server counted 190" in shown
    assert "belongs together by user" in shown
    assert "(affinity): 429 after" in shown
    assert "cooling" in shown
    assert [one["cost_only"] for one in document["attempts"]] == [True, False]
    told = [(one["why"], one["outcome"]) for one in document["decisions"]["attempts"]]
    assert told == [("affinity", "429"), ("only", "served")]
    assert trace(tmp_path, REQUEST) == 0
    assert "no worker remembers a choice" in capsys.readouterr().out


def test_nothing_is_known_of_an_unknown_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(tmp_path / "status" / "gateway-0.sock", decided()):
        assert trace(tmp_path, "req_unknown") == 1
    assert "nothing is known" in capsys.readouterr().err


def talk(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(10)
        asking.connect(str(path))
        asking.sendall(data)
        answer = b""
        try:
            while piece := asking.recv(65_536):
                answer += piece
        except ConnectionResetError:
            return b"reset"
        return answer


@pytest.mark.parametrize(
    ("said", "answered"),
    [(b"\xff\n", b"null"), (b"x" * (LINE_BYTES_MAX + 1), b"")],
)
def test_a_socket_answers_ids_and_nothing_longer(
    tmp_path: Path, said: bytes, answered: bytes
) -> None:
    path = tmp_path / "gateway-0.sock"
    with answering(path, decided()):
        assert path.stat().st_mode & 0o777 == 0o600
        assert talk(path, said) in (answered, b"reset")
        found = ask(path, REQUEST)
        assert found is not None
        assert found.affinity == "user"


def test_what_is_no_worker_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "gateway-0.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def answer() -> None:
            client, _ = other.accept()
            with client:
                client.recv(100)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(IntegrityError, match="does not answer with a trace"):
            ask(path, REQUEST)
        thread.join()
