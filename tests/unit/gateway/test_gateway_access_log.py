"""The access log: what a line says, what it never says, and what happens to a full disk's lines."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import SECRET
from tests.unit.gateway.observed import AT, AnEnd, a_call, a_close

from quartermaster.gateway import access_log
from quartermaster.gateway.access_log import AccessLog
from quartermaster.gateway.otlp_context import TraceContext

RELEASED = AT + 84_000


class Inline:
    """Runs every job at once."""

    def submit(self, job: Callable[[], None]) -> None:
        """Run it."""
        job()

    def stop(self) -> None:
        """There is nothing to wait for."""


class Stuck(Inline):
    """A disk that does not come back."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def submit(self, job: Callable[[], None]) -> None:
        """Keep it."""
        self.jobs.append(job)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_who_asked_for_what_and_how_it_went(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    log = AccessLog(path, Inline())
    trace = TraceContext("ab" * 16, "cd" * 8, "ef" * 8, "", sampled=True)
    log.take([AnEnd(call=a_call(stream=True), trace_context=trace)], RELEASED)
    log.take([AnEnd(a_close(status=502, failure="upstream_dropped", first_byte_ms=0))], RELEASED)
    log.refused("req_2", 401, "invalid_api_key", AT)
    assert not path.exists(), "lines gather before they are written"
    log.tick()
    served, failed, refused = lines(path)
    assert served == {
        "at": "2023-11-14T22:13:20.000Z",
        "request_id": "req_1",
        "endpoint": "chat.completions",
        "status": 200,
        "customer": "cus_1",
        "project": "default",
        "key_id": "key_1",
        "model": "llama",
        "deployment": "llama@rack-1",
        "input_tokens": 24,
        "output_tokens": 12,
        "usage_source": "upstream",
        "duration_ms": 80,
        "first_byte_ms": 30,
        "log_sync_ms": 4,
        "stream": True,
        "upstream_id": "chatcmpl-7",
        "trace_id": "ab" * 16,
    }
    assert (failed["status"], failed["reason"]) == (502, "upstream_dropped")
    assert "first_byte_ms" not in failed
    assert refused == {
        "at": "2023-11-14T22:13:20.000Z",
        "request_id": "req_2",
        "status": 401,
        "reason": "invalid_api_key",
    }


def test_nothing_that_was_said_and_no_secret_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    log = AccessLog(path, Inline())
    log.take([AnEnd(), AnEnd(closed=None)], RELEASED)
    log.stop()
    text = path.read_text()
    assert b"SECRET" in bytes(a_call().fields["messages"]), "the request did say it"
    for secret in ("SECRET", SECRET, AnEnd().grant.key_hash, "prompt_tokens"):
        assert secret not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lines(path)[1]["reason"] == "meter_unavailable"


def test_it_is_rotated_and_the_oldest_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    log = AccessLog(path, Inline(), bytes_max=600, files_max=3)
    for number in range(9):
        log.refused(f"req_{number}", 404, "unknown_url" * 20, AT)
        log.tick()
    names = sorted(found.name for found in tmp_path.iterdir())
    assert names == ["access.jsonl", "access.jsonl.1", "access.jsonl.2"]
    ids = [line["request_id"] for name in names for line in lines(tmp_path / name)]
    assert ids == ["req_8", "req_6", "req_7", "req_4", "req_5"]


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    log = AccessLog(path, Inline())
    log.refused("req_1", 404, "unknown_url", AT)
    log.tick()
    path.rename(tmp_path / "archived")
    log.refused("req_2", 404, "unknown_url", AT)
    log.tick()
    assert [line["request_id"] for line in lines(path)] == ["req_2"]


def test_lines_that_cannot_be_written_are_counted_and_the_next_are_tried(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = AccessLog(folder / "access.jsonl", Inline())
    log.take([AnEnd(), AnEnd()], RELEASED)
    log.tick()
    assert log.dropped == 2
    assert "No such file" in log.problem
    folder.mkdir()
    log.take([AnEnd()], RELEASED)
    log.tick()
    assert (log.dropped, log.problem) == (2, "")
    assert len(lines(folder / "access.jsonl")) == 1


def test_a_stuck_disk_bounds_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "PENDING_BYTES_MAX", 2_000)
    disk = Stuck()
    log = AccessLog(tmp_path / "access.jsonl", disk)
    for _ in range(100):
        log.take([AnEnd()], RELEASED)
        log.tick()
    assert 0 < len(disk.jobs) < 10
    assert log.dropped == 100 - len(disk.jobs)
    for job in disk.jobs:
        job()
    log.take([AnEnd()], RELEASED)
    assert log.dropped == 100 - len(disk.jobs), "once the disk is back, lines are taken again"
