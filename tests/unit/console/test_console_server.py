"""The server process: it stops when told, and says in words when it cannot start."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.unit.console.console_fakes import FakeIdentity, FakeLive, FakeOverview, live_facts
from tests.unit.console.exposure_fakes import FakeExposure

from quartermaster.console import server
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.errors import UnavailableError

ROOT = Path(__file__).parents[3]
START_S = 30

SERVE = """
import sys
from quartermaster.console import server
from quartermaster.console.settings import ConsoleSettings
from tests.unit.console.console_fakes import FakeIdentity, FakeLive, FakeOverview, live_facts
from tests.unit.console.exposure_fakes import FakeExposure
settings = ConsoleSettings(port=int(sys.argv[1]))
ports = FakeIdentity(), FakeOverview(None), FakeLive(live_facts()), FakeExposure(None)
sys.exit(server.run(settings, *ports))
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(stop: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer = wait_for(f"http://127.0.0.1:{port}/healthz")
        assert answer.read() == b"ok\n"
        assert "server" not in {name.lower() for name in answer.headers}
        process.send_signal(stop)
        assert process.wait(START_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()


def wait_for(url: str) -> "urllib.request._UrlopenRet":
    until = time.monotonic() + START_S
    while True:
        try:
            return urllib.request.urlopen(url, timeout=START_S)
        except OSError:
            assert time.monotonic() < until, "the console does not start"
            time.sleep(0.05)


def test_a_port_in_use_is_said_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match="cannot listen on") as caught:
            server.run(
                ConsoleSettings(port=port),
                FakeIdentity(),
                FakeOverview(None),
                FakeLive(live_facts()),
                FakeExposure(None),
            )
    assert "console.port" in caught.value.hint
