"""`quartermaster usage` on a data folder with three metered requests."""

import json
from pathlib import Path

import pytest
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import new_table, requests, ship, write_segment

from quartermaster.cli.main import run


@pytest.fixture
def var(tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    write_segment(folder / "wal" / "gateway-0", requests(1, 2))
    write_segment(folder / "wal" / "gateway-0", requests(3, at=usage_facts.NOON + 60_000_000))
    ship(folder / "wal", new_table(folder / "usage"))
    return folder


def said(var: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["--var", str(var), "usage", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_show_lists_the_last_facts(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(var, capsys, "show", "--last", "2", "--json")
    facts = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert facts[0]["opened"]["request_id"] == usage_facts.request_id(3)
    assert facts[0]["closed"]["counts"]["output"] == 30
    assert len(facts) == 2
    code, out, _ = said(var, capsys, "show")
    assert code == 0
    assert all(usage_facts.request_id(number) in out for number in (1, 2, 3))


def test_show_finds_one_request(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(var, capsys, "show", usage_facts.request_id(2), "--json")
    assert (code, json.loads(out)["sequence"]) == (0, 2)
    code, out, err = said(var, capsys, "show", "req_unknown")
    assert (code, out) == (1, "")
    assert "no usage of request 'req_unknown'" in err


def test_review_lists_what_was_not_believed_and_what_was_said(
    var: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(var, capsys, "review")
    assert (code, out, err) == (0, "", "nothing to review\n")
    odd = [
        (usage_facts.opened(n), usage_facts.closed(n, failure=failure))
        for n, failure in ((4, "usage_negative"), (5, "client_gone"), (6, "output_above_cap"))
    ]
    write_segment(var / "wal" / "gateway-0", odd)
    ship(var / "wal", new_table(var / "usage"))
    code, out, _ = said(var, capsys, "review", "--json")
    facts = [json.loads(line) for line in out.splitlines()]
    assert [one["closed"]["failure"] for one in facts] == ["output_above_cap", "usage_negative"]
    code, out, _ = said(var, capsys, "review")
    assert code == 0
    assert usage_facts.request_id(4) in out
    assert '{"prompt_tokens":100}' in out
    assert usage_facts.request_id(5) not in out


def test_hourly_at_a_cut(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(var, capsys, "hourly", "--json")
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert (code, row["requests"], row["counts"]["output"]) == (0, 3, 60)
    _, out, _ = said(var, capsys, "hourly", "--at", "gateway-0=1", "--json")
    assert json.loads(out)["requests"] == 2
    code, out, err = said(var, capsys, "hourly")
    assert "cus_tiktok" in out
    assert "cut: gateway-0=2" in err
    code, _, err = said(var, capsys, "hourly", "--at", "gateway-0")
    assert (code, "no part of a cut" in err) == (2, True)


def test_check_says_what_is_complete(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(var, capsys, "check", "--json")
    certificate = json.loads(out)
    assert (code, certificate["rows"], certificate["segments"]) == (0, 3, 2)
    code, out, _ = said(var, capsys, "check")
    assert out.startswith("complete: 3 rows in 2 segments")
    code, out, err = said(var, capsys, "check", "--at", "gateway-0=3")
    assert (code, out) == (5, "")
    assert "segment 3 of gateway-0 is not in the usage table" in err


def test_before_the_first_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(tmp_path / "new", capsys, "check")
    assert (code, out.splitlines()[0]) == (0, "complete: 0 rows in 0 segments")
    code, _, err = said(tmp_path / "new", capsys, "hourly")
    assert (code, "nothing shipped yet" in err) == (0, True)
