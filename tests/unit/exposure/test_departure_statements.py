"""Past statements: their file, their scores, and the command that shows them."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from quartermaster.cli.main import run
from quartermaster.exposure.departure import opinion, parse_case
from quartermaster.exposure.departure_statements import (
    Statement,
    append_statements,
    of_opinion,
    parse_statements,
    read_statements,
    record,
)
from quartermaster.exposure.report import input_file
from quartermaster.kernel.errors import ConflictError, DataError

OPEN: dict[str, Any] = {
    "stated_on": "2024-01-31",
    "subject": "Acme",
    "event": "Acme leaves",
    "horizon_months": 12,
    "probability": 0.3,
    "low": 0.1,
    "high": 0.5,
}
CAME = {**OPEN, "outcome": True, "resolved_on": "2024-06-01"}
STAYED = {**OPEN, "outcome": False, "resolved_on": "2025-01-31"}


def lines(*entries: dict[str, Any]) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def statement(**fields: Any) -> Statement:
    (found,) = parse_statements(lines({**OPEN, **fields}), "s.jsonl")
    return found


def test_resolved_statements_are_scored_and_open_ones_counted() -> None:
    entries = [
        {**CAME, "probability": 0.9, "high": 1.0, "subject": "A"},
        {**STAYED, "subject": "A"},
        {**STAYED, "subject": "B"},
        {**OPEN, "subject": "C"},
    ]
    entries[1]["stated_on"], entries[1]["resolved_on"] = "2024-01-01", "2025-01-01"
    found = record(parse_statements(lines(*entries), "s.jsonl"))
    assert (found.statements, found.open, found.subjects) == (4, 1, 2)
    assert found.scores is not None
    assert found.scores.brier == pytest.approx((0.01 + 0.09 + 0.09) / 3)
    assert found.scores.bins[0].statements == 3


def test_nothing_resolved_is_nothing_scored() -> None:
    assert record([statement()]).scores is None
    assert record([]).scores is None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({**OPEN, "probability": 0}, "certainty"),
        ({**OPEN, "probability": 1, "high": 1}, "certainty"),
        ({**OPEN, "low": 0.4}, "low <= probability"),
        ({**OPEN, "subject": ""}, "subject"),
        ({**OPEN, "horizon_months": 0}, "horizon_months"),
        ({**OPEN, "stated_on": "soon"}, "not a date"),
        ({**OPEN, "resolved_on": "2024-06-01"}, "without an outcome"),
        ({**OPEN, "outcome": True}, "needs resolved_on"),
        ({**CAME, "resolved_on": "2024-01-31"}, "before or when"),
        ({**CAME, "resolved_on": "2025-02-01"}, "after the horizon"),
        ({**STAYED, "resolved_on": "2025-01-30"}, "before the horizon"),
        ({**OPEN, "mood": 1}, "mood"),
        ({**OPEN, "probability": "0.3"}, "probability"),
    ],
)
def test_bad_lines_are_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=rf"(?s)line 3: .*{says}"):
        parse_statements(lines(CAME) + b"\n" + lines(entry), "s.jsonl")


def test_text_that_is_no_json_and_a_statement_made_twice() -> None:
    with pytest.raises(
        DataError, match=r"(?s)2 lines.*line 1.*line 3: the same statement as line 2"
    ):
        parse_statements(b"nonsense\n" + lines(OPEN, CAME), "s.jsonl")


def test_statements_are_added_once_and_never_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    first, second = statement(), statement(stated_on="2024-02-29")
    assert append_statements(path, [first]) == 1
    assert append_statements(path, [first, second]) == 1
    assert read_statements(path) == (first, second)
    with pytest.raises(ConflictError, match="another statement"):
        append_statements(path, [statement(probability=0.2)])
    assert read_statements(path) == (first, second)


def test_a_file_without_a_last_newline_is_continued_on_a_new_line(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(lines(OPEN).rstrip())
    append_statements(path, [statement(stated_on="2024-02-29")])
    assert len(read_statements(path)) == 2


# --- statements of cases --------------------------------------------------------------------

CASE = """\
schema = "quartermaster.departure/1"
id = "a"
subject = "Acme"
seller = "Us"
event = "Acme leaves"
[[evidence]]
kind = "builds_own"
on = "2024-01-31"
fact = "It says so."
source = "a letter"
[outcome]
happened = {happened}
on = "{on}"
fact = "seen"
source = "our books"
"""


@pytest.mark.parametrize(
    ("happened", "on", "outcome"),
    [
        ("true", "2024-12-01", True),
        ("true", "2025-01-31", True),
        ("true", "2025-02-01", False),
        ("false", "2025-01-31", False),
    ],
)
def test_the_outcome_of_a_statement_is_that_within_its_horizon(
    happened: str, on: str, outcome: bool
) -> None:
    data = CASE.format(happened=happened, on=on).encode()
    found = of_opinion(opinion(parse_case(data, "a.toml"), input_file("a.toml", data)))
    assert found.outcome is outcome
    assert found.subject == "Acme at Us"
    assert "sha256:" in found.source


def test_the_outcome_of_a_statement_never_reaches_the_ledger() -> None:
    stated = []
    for happened, on in (("true", "2024-12-01"), ("false", "2025-03-01")):
        data = CASE.format(happened=happened, on=on).encode()
        stated.append(opinion(parse_case(data, "a.toml"), input_file("a.toml", data)).stated)
    assert stated[0] == stated[1]


# --- the commands ---------------------------------------------------------------------------


def test_record_then_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case, file = tmp_path / "a.toml", tmp_path / "statements.jsonl"
    case.write_text(CASE.format(happened="true", on="2024-12-01"), "utf-8")
    assert run(["departure", str(case), "--record", str(file)]) == 0
    assert "recorded 1 of 1" in capsys.readouterr().err
    assert run(["departure", str(case), "--record", str(file)]) == 0
    assert "recorded 0 of 1" in capsys.readouterr().err
    assert run(["statements", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scores"]["brier"] == pytest.approx((1 - 0.543) ** 2, abs=1e-3)
    assert document["scores"]["bins"][0]["statements"] == 1
    assert document["scores"]["enough"] is False
    assert run(["statements", str(file)]) == 0
    said = capsys.readouterr().out
    assert "too few statements to say anything about calibration" in said
    assert "statements" in said.splitlines()[-2]
    assert run(["statements", str(file), "--lang", "de"]) == 0
    assert "zu wenige Aussagen" in capsys.readouterr().out


def test_the_reliability_diagram_as_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """120 statements: every bin is drawn with its number, its interval and a hint."""
    file, picture = tmp_path / "s.jsonl", tmp_path / "r.svg"
    entries = []
    for at in range(120):
        p = (at % 10 + 0.5) / 10
        base = CAME if at % 3 == 0 else STAYED
        entries.append(
            {**base, "subject": f"C{at}", "probability": p, "low": p, "high": p},
        )
    file.write_bytes(lines(*entries))
    assert run(["statements", str(file), "--svg", str(picture), "--lang", "de"]) == 0
    assert "wrote" in capsys.readouterr().err
    root = ET.fromstring(picture.read_text("utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    groups = list(root.iter(f"{space}g"))
    numbers = [int(group.findtext(f"{space}text", "")) for group in groups]
    assert numbers == [12] * 10
    assert "genannt 5,0" in groups[0].findtext(f"{space}title", "")
    assert run(["statements", str(file), "--svg", str(tmp_path)]) == 2


def test_no_diagram_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.jsonl"
    file.write_bytes(lines(OPEN))
    assert run(["statements", str(file), "--svg", str(tmp_path / "r.svg")]) == 2
    assert run(["statements", str(file)]) == 0
    assert "none resolved" in capsys.readouterr().out


def test_a_file_that_is_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["statements", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl cannot be read" in capsys.readouterr().err
