"""Guidance in the book: recorded once, never rewritten, judged by the same rules as a file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartermaster.app.console_guidance import recorded_guidance
from quartermaster.book.store import Book, open_book
from quartermaster.cli.main import run
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.guidance import record, recorded
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError, NotAllowedError
from quartermaster.revenue.guidance_rows import read_guidance
from quartermaster.revenue.scorecard import scorecard

NOW = Instant(1_790_000_000_000_000)
HEAD = (
    "metric,unit,period,basis,metric_version,low,high,source,issued_on,inferred,miss_chance,"
    "definition,actual,actual_basis,actual_metric_version,actual_source\n"
)
MISSED = (
    "revenue,USD,2025Q1,reported,v1,10.0,12,letter,2025-01-15,no,0.2,all,9.50,reported,,report\n"
)
PENDING = "revenue,USD,2025Q2,reported,v1,11,13,letter,2025-04-15,,,,,,,\n"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    yield book
    book.close()


def write(book: Book, *lines: str) -> int:
    found = read_guidance((HEAD + "".join(lines)).encode(), "guidance.csv")
    return record(book, OPERATOR, found, NOW)


def test_what_is_recorded_is_judged_as_the_file_is(book: Book) -> None:
    assert write(book, PENDING, MISSED) == 2
    of_file = scorecard(read_guidance((HEAD + MISSED + PENDING).encode(), "guidance.csv"))
    found = scorecard(recorded(book.view()))
    assert [one.verdict for one in found.entries] == [one.verdict for one in of_file.entries]
    assert [one.verdict.outcome for one in found.entries] == ["miss", "pending"]
    assert (found.records, found.chances) == (of_file.records, of_file.chances)
    card = recorded_guidance(book)
    assert card is not None
    assert len(card.entries) == 2


def test_the_same_again_writes_nothing_and_what_came_is_added(book: Book) -> None:
    assert recorded_guidance(book) is None
    assert write(book, PENDING) == 1
    assert write(book, PENDING) == 0
    assert write(book, PENDING.replace(",,,,,,,\n", ",,,,12,reported,,report\n")) == 1
    # A file without the actual takes nothing back.
    assert write(book, PENDING) == 0
    (entry,) = scorecard(recorded(book.view())).entries
    assert entry.verdict.outcome == "upper_half"


def test_a_promise_is_not_rewritten_and_a_later_one_stands_beside_it(book: Book) -> None:
    write(book, PENDING)
    with pytest.raises(ConflictError, match="recorded as 11 to 13"):
        write(book, MISSED, PENDING.replace("11,13", "9,13"))
    assert len(book.view().guidance) == 1
    assert write(book, PENDING.replace("11,13", "9,13").replace("2025-04-15", "2025-05-01")) == 1
    assert [one.guidance.low for one in recorded(book.view())] == ["11", "9"]


def test_only_finance_promises(book: Book) -> None:
    found = read_guidance((HEAD + PENDING).encode(), "guidance.csv")
    with pytest.raises(NotAllowedError):
        record(book, Actor("usr", ("viewer",)), found, NOW)


def test_the_command_records_and_scores_the_book(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    var, file = str(tmp_path / "var"), tmp_path / "guidance.csv"
    file.write_text(HEAD + MISSED, "utf-8")
    assert run(["--var", var, "guidance", "score", "--book"]) != 0
    assert "guidance record FILE" in capsys.readouterr().err
    assert run(["--var", var, "guidance", "record", str(file)]) == 0
    assert capsys.readouterr().out == "1 of 1 promises recorded\n"
    assert run(["--var", var, "guidance", "score", "--book", "--json"]) == 0
    of_book = json.loads(capsys.readouterr().out)
    assert run(["--var", var, "guidance", "score", str(file), "--json"]) == 0
    of_file = json.loads(capsys.readouterr().out)
    assert of_book["input"] == {"name": "book"}
    for document in (of_book, of_file):
        del document["guidance"][0]["line"]
    assert of_book["guidance"] == of_file["guidance"]
    assert run(["--var", var, "guidance", "score"]) != 0
