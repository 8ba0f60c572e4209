"""The request that `up` shows: asked again while a budget is held, and never over a refusal."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from quartermaster.app import story
from quartermaster.app.rooms import Rooms
from quartermaster.app.supervisor import Supervisor
from quartermaster.config import Settings
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import UnavailableError, UpstreamError
from quartermaster.model.settings import ModelSettings

MODELS = {"data": [{"id": "toy"}]}
HEALTH = {"fallback_reason": "no weights (run: quartermaster model pull)"}
ANSWER = {"model": "toy", "choices": [{"message": {"content": "Once."}}]}


@contextmanager
def serving(*refusals: dict[str, str]) -> Iterator[int]:
    """A gateway and model that refuses with each of these headers, and then answers."""
    left = list(refusals)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(200, {}, HEALTH if self.path == "/healthz" else MODELS)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if left:
                self.say(429, left.pop(0), {})
            else:
                self.say(200, {"x-request-id": "req_1"}, ANSWER)

        def say(self, status: int, headers: dict[str, str], body: object) -> None:
            data = msgspec.json.encode(body)
            self.send_response(status)
            for name, value in {"x-request-id": "r", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Tests are quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(folder: Path, port: int) -> list[str]:
    """What is shown before the usage fact would arrive."""
    settings = Settings(
        var=str(folder), gateway=GatewaySettings(port=port), model=ModelSettings(port=port)
    )
    shown: list[str] = []
    with pytest.raises(UnavailableError, match="usage fact"):
        story.tell(
            Rooms(settings), "qm-x", sample=False,
            supervisor=Supervisor(folder, shown.append, drain_s=1.0), show=shown.append,
        )  # fmt: skip
    return shown


def test_it_is_asked_again_while_its_budget_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "METERED_TIMEOUT_S", 0.0)
    with serving({"retry-after": "1"}, {"retry-after": "1"}) as port:
        shown = told(tmp_path, port)
    assert shown == [
        "Answer       toy: Once.",
        "Toy model    no weights (run: quartermaster model pull)",
    ]


def test_a_refusal_for_good_is_one_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as port, pytest.raises(UpstreamError, match="with 429"):
        told(tmp_path, port)
    monkeypatch.setattr(story, "BUSY_TIMEOUT_S", 0.0)
    with serving(*[{"retry-after": "1"}] * 9) as port, pytest.raises(UpstreamError):
        told(tmp_path, port)
