"""Children are restarted with growing patience, stopped cleanly, and never outlive us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.contract.gateway_process import free_port

from quartermaster.app import open_rooms
from quartermaster.app.first_start import prepare
from quartermaster.app.supervisor import RESTART_DELAYS_S, Supervisor, restart_delay_s
from quartermaster.app.up import GatewayReload
from quartermaster.gateway.status import read_status
from quartermaster.kernel.errors import UnavailableError

DEADLINE_S = 20.0


def test_restart_delay_grows_and_is_bounded() -> None:
    delays = [restart_delay_s(n) for n in range(1, 10)]
    assert delays[: len(RESTART_DELAYS_S)] == list(RESTART_DELAYS_S)
    assert delays == sorted(delays)
    assert set(delays[len(RESTART_DELAYS_S) :]) == {RESTART_DELAYS_S[-1]}


def _until(supervisor: Supervisor, name: str, not_pid: int | None = None) -> int:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        supervisor.watch_once()
        pid = supervisor.pids().get(name)
        if pid is not None and pid != not_pid:
            return pid
        time.sleep(0.02)
    raise AssertionError(f"{name} was not started")


def _model_arguments(tmp_path: Path) -> list[str]:
    return ["--var", str(tmp_path), "up", "--role", "model"]


def test_a_killed_child_is_restarted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERMASTER_MODEL__ENGINE", "toy")
    monkeypatch.setenv("QUARTERMASTER_MODEL__PORT", "18472")
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.add("model", _model_arguments(tmp_path))
    try:
        first = _until(supervisor, "model")
        os.kill(first, signal.SIGKILL)
        second = _until(supervisor, "model", not_pid=first)
        assert second != first
        assert said == ["model ended with -9; starts again in 0.1 s"]
    finally:
        supervisor.stop()
    assert (tmp_path / "log" / "model.log").is_file()


def test_a_child_has_its_own_time_to_drain_before_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERMASTER_MODEL__ENGINE", "toy")
    monkeypatch.setattr("quartermaster.app.supervisor.STOP_GRACE_S", 0.25)
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append, drain_s=0.5)
    supervisor.add("model", _model_arguments(tmp_path))
    child = _until(supervisor, "model")
    os.kill(child, signal.SIGSTOP)
    while _state(child) != "T":
        time.sleep(0.001)
    asked = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - asked >= 0.75
    assert said == ["model did not stop in 0.75 s and was killed"]


def test_what_never_becomes_ready_is_an_error_that_names_the_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    try:
        with pytest.raises(UnavailableError) as caught:
            supervisor.wait_until(lambda: False, "the gateway", 0.2)
    finally:
        supervisor.stop()
    assert "the gateway did not become ready" in caught.value.message
    assert str(tmp_path / "log") in caught.value.hint


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    """`kill -9` of the supervisor closes the lifeline, and the child ends itself."""
    script = (
        "import sys, time; from pathlib import Path;"
        "from quartermaster.app.supervisor import Supervisor;"
        f"s = Supervisor(Path({str(tmp_path / 'log')!r}), print);"
        f"s.add('model', ['--var', {str(tmp_path)!r}, 'up', '--role', 'model']);"
        "print(s.pids()['model'], flush=True); time.sleep(60)"
    )
    environ = {
        **os.environ,
        "QUARTERMASTER_MODEL__ENGINE": "toy",
        "QUARTERMASTER_MODEL__PORT": "18473",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environ
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(1.0)  # let the child reach `die_with`; before that it dies by the failed import
        parent.kill()
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return _state(pid) != "Z"
    except FileNotFoundError:
        return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0]


def test_a_stop_while_waiting_is_an_interruption_and_no_failure(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    supervisor.stopping.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            supervisor.wait_until(lambda: False, "the gateway", 60)
    finally:
        supervisor.stop()


@pytest.mark.long
def test_a_successor_serves_before_the_one_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTERMASTER_GATEWAY__PORT", str(free_port()))
    options = {"var": str(tmp_path)}
    rooms = open_rooms(options)
    prepare(rooms)
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    arguments = ["--var", str(tmp_path), "up", "--role", "gateway", "--worker", "0"]
    status = tmp_path / "status"

    def serving() -> dict[str, int]:
        found = [read_status(path) for path in status.glob("*.json")]
        return {one.app_id: one.pid for one in found if one.state == "serving"}

    supervisor.add("gateway-0", arguments)
    try:
        first = _until(supervisor, "gateway-0")
        supervisor.wait_until(lambda: serving() == {"gateway-0": first}, "the gateway", DEADLINE_S)
        reload = GatewayReload(supervisor, rooms, options, said.append)
        reload()
        second = supervisor.pids()["gateway-0"]
        assert serving()["gateway-0-b"] == second != first
        reload()
        assert said[-1].endswith("before the last reload; not now")
        supervisor.wait_until(lambda: not supervisor.leaves("gateway-0"), "it", DEADLINE_S)
        assert serving() == {"gateway-0-b": second}
        assert said == [
            "gateway-0 has a successor",
            "gateway-0 still ends what it had begun before the last reload; not now",
            "gateway-0 has handed over and ended",
        ]
    finally:
        supervisor.stop()


def test_a_successor_that_does_not_serve_changes_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.add("model", _model_arguments(tmp_path))
    try:
        first = _until(supervisor, "model")
        unusable = [*_model_arguments(tmp_path), "--no-such-option"]
        assert not supervisor.replace("model", unusable, lambda _: False, DEADLINE_S)
        assert said == ["the successor of model does not serve; nothing was changed"]
        assert supervisor.pids() == {"model": first}
    finally:
        supervisor.stop()
