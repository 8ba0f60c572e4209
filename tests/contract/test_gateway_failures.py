"""A real gateway worker whose log fails, or whose clients take all there is."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.contract.gateway_process import (
    DEADLINE_S,
    SERVE,
    Gateway,
    ModelServer,
    running_gateway,
    until,
)
from tests.contract.raw_client import TALK, code, raw


@pytest.fixture
def upstream() -> Iterator[ModelServer]:
    with ModelServer().running() as server:
        yield server


@pytest.fixture
def gateway(upstream: ModelServer, tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(tmp_path, upstream, body_bytes_max=5_000) as running:
        yield running


FAILING = """
import sys
from pathlib import Path
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
from quartermaster.usage.files import OsFiles
class Failing(OsFiles):
    def fdatasync(self, descriptor):
        raise OSError(5, "Input/output error")
run(GatewaySettings(port=0), var=Path(sys.argv[1]), worker=0, files=Failing())
"""


def test_a_log_that_cannot_be_synced_releases_nothing_and_refuses_from_then_on(
    gateway: Gateway, upstream: ModelServer
) -> None:
    gateway.stop()
    gateway.start({}, FAILING)
    with raw(gateway) as client, raw(gateway) as other:
        client.send(client.chat({**TALK, "stream": True}))
        rest = client.closed()
        assert b"meter_unavailable" in rest
        assert b"[DONE]" not in rest
        other.send(other.chat(TALK))
        status, body = other.response()
        assert (status, code(body)) == (503, "meter_unavailable")
        other.send(b"GET /readyz HTTP/1.1\r\nhost: g\r\n\r\n")
        assert other.response()[0] == 503
        other.send(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n")
        assert other.response()[0] == 200
    assert len(upstream.asked) == 1


MENDED = """
import sys
from pathlib import Path
from quartermaster.gateway import worker
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import NotDurableError
from quartermaster.usage.files import OsFiles
class Full(OsFiles):
    def write(self, descriptor, data):
        if (Path(sys.argv[1]) / "full").exists():
            raise OSError(28, "No space left on device")
        return super().write(descriptor, data)
worker.LOG_RETRY_S = 0.1
try:
    worker.run(GatewaySettings(port=0), var=Path(sys.argv[1]), worker=0, files=Full())
except NotDurableError as error:
    sys.exit(str(error.message))
"""


def test_a_worker_whose_disk_was_full_ends_when_it_has_room_and_its_successor_recovers(
    gateway: Gateway,
) -> None:
    gateway.stop()
    gateway.start({}, MENDED)
    with raw(gateway) as client:
        client.send(client.chat(TALK))
        assert client.response()[0] == 200
        (gateway.var / "full").touch()
        client.send(client.chat(TALK))
        status, body = client.response()
        assert (status, code(body)) == (503, "meter_unavailable")
    with raw(gateway) as other:
        time.sleep(0.5)  # several looks at a disk that is still full
        other.send(other.chat(TALK))
        assert other.response()[0] == 503
        (gateway.var / "full").unlink()
        gateway.process.communicate(timeout=DEADLINE_S)
    assert gateway.process.returncode == 1
    gateway.start({})
    (row, *more) = gateway.stop()
    assert (row.opened.model, row.closed.counts.tokens) == ("talk", 14)
    assert all(extra.status != "closed" for extra in more)


def test_who_connects_at_the_very_start_is_not_taken_for_idle(gateway: Gateway) -> None:
    gateway.stop()
    gateway.start({})
    with raw(gateway) as client:
        client.socket.settimeout(1.5)  # longer than a tick
        with pytest.raises(TimeoutError):
            client.socket.recv(1)


FEW_FILES = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
{SERVE}
"""


def test_a_flood_of_connections_leaves_files_for_the_log_and_the_upstream(
    gateway: Gateway,
) -> None:
    gateway.stop()
    gateway.start({}, FEW_FILES)
    with ExitStack() as flood:
        client = flood.enter_context(raw(gateway))
        for _ in range(150):
            flood.enter_context(raw(gateway))
        until(lambda: gateway.status.refusals.get("too_many_connections", 0) > 100)
        client.send(client.chat(TALK))
        assert client.response()[0] == 200
    (row, *_) = gateway.stop()
    assert row.status == "closed"
