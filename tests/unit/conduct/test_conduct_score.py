"""Scores with reasons, and the command that prints them."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.conduct.conduct_made_up import KEY, campaign, day, support

from quartermaster.cli.main import cli, run
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay, Request
from quartermaster.conduct.score import Score, score_days


def scores(*days: AccountDay) -> list[Score]:
    return list(score_days(days, Observer(KEY), KEY))


def test_a_campaign_is_over_the_line_and_a_product_below_it() -> None:
    made, served = scores(day(*campaign()), day(*support()))
    assert made.over_line
    assert not served.over_line
    assert made.score is not None
    assert served.score is not None
    assert made.score > served.score + 1
    assert made.workload is not None
    assert made.workload.findings[0].kind == "meta_generation"
    assert made.workload.reasons[0].adds > 0


def test_a_covert_fifth_is_judged_on_its_own() -> None:
    (mixed,) = scores(day(*support(24), *campaign(6)))
    assert mixed.over_line
    assert mixed.workload is not None
    assert mixed.workload.requests == 6
    assert mixed.workload.share == pytest.approx(0.2)


def test_wishes_for_reasoning_alone_are_marked_as_observation_only() -> None:
    asks = [Request((f"How heavy is object {n}? Explain step by step.",)) for n in range(30)]
    (found,) = scores(day(*asks))
    assert found.workload is not None
    kinds = {finding.kind: finding.observe_only for finding in found.workload.findings}
    assert kinds["reasoning_harvest"] is True
    assert not any(only for kind, only in kinds.items() if kind != "reasoning_harvest")


def test_a_score_says_what_it_could_not_see() -> None:
    (found,) = scores(day(*support(20) * 30))
    words = " ".join(found.blind)
    assert "history" in words
    assert "meter" in words
    assert "42.7% of the requests" in words


def test_a_day_without_requests_has_no_score() -> None:
    (found,) = scores(day())
    assert (found.score, found.over_line, found.workload) == (None, False, None)


def write(path: Path, *days: AccountDay) -> Path:
    lines = [
        json.dumps(
            {
                "account": d.account,
                "label": "ignored",
                "requests": [{"system": r.system, "turns": list(r.turns)} for r in d.requests],
            }
        )
        for d in days
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))
    return path


def test_the_command_prints_one_object_a_line(tmp_path: Path) -> None:
    days = day(*campaign(), account="x"), day(*support(), account="y"), day(account="z")
    file = write(tmp_path / "days.jsonl.gz", *days)
    result = CliRunner().invoke(cli, ["conduct", "score", str(file), "--json"])
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["account"] for one in found] == ["x", "y", "z"]
    assert found[0]["over_line"] is True
    assert found[2]["score"] is None
    words = CliRunner().invoke(cli, ["conduct", "score", str(file)]).stdout
    assert "x: score" in words
    assert "above the line" in words
    assert "z: no requests" in words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1"),
        ('{"account": "a"}', "requests"),
        ('{"account": "a", "requests": [{"turns": []}]}', "without a turn"),
        ('{"account": 1, "requests": []}', "account"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(text, "utf-8")
    assert run(["conduct", "score", str(file)]) == 1
    assert says in capsys.readouterr().err


def test_a_file_that_is_not_gzip_and_a_short_key_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.jsonl.gz"
    file.write_bytes(b"no gzip")
    assert run(["conduct", "score", str(file)]) == 1
    assert "cannot be unpacked" in capsys.readouterr().err
    assert run(["conduct", "score", str(file), "--key-file", str(file)]) == 1
    assert "32" in capsys.readouterr().err


def test_a_file_without_account_days_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "empty.jsonl"
    file.touch()
    assert run(["conduct", "score", str(file), "--json"]) == 0
    said = capsys.readouterr()
    assert (said.out, "no account-day" in said.err) == ("", True)
