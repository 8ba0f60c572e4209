"""Guidance from a CSV of its own: every verdict, every reason, every line that cannot be used."""

from fractions import Fraction

import pytest

from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.revenue.guidance import score
from quartermaster.revenue.guidance_rows import Promise, read_guidance
from quartermaster.revenue.scorecard import document, scorecard
from quartermaster.revenue.track_record import chances, errors

HEADER = (
    "metric,unit,period,basis,metric_version,low,high,source,issued_on,inferred,miss_chance,"
    "definition,actual,actual_basis,actual_metric_version,actual_definition\n"
)
# period, basis, low, high, inferred, chance, definition, actual, its basis, version, definition
ROWS = [
    ("Q1", "reported", "10", "12", "", "0.2", "", "13", "reported", "", "", "beat", ""),
    ("Q2", "reported", "10", "12", "", "0.2", "", "12", "reported", "", "", "upper_half", ""),
    ("Q3", "reported", "10", "12", "", "", "", "11", "reported", "", "", "upper_half", ""),
    ("Q4", "reported", "10", "12", "yes", "", "", "10.9", "reported", "", "", "lower_half", ""),
    ("Q5", "reported", "10", "12", "", "0.2", "", "9.99", "reported", "", "", "miss", ""),
    ("Q6", "reported", "10", "10", "", "", "", "10.0", "reported", "", "", "met", ""),
    ("Q7", "reported", "10", "", "no", "", "", "10.1", "reported", "", "", "beat", ""),
    ("Q8", "reported", "10", "", "", "", "", "9.9", "reported", "", "", "miss", ""),
    ("Q9", "reported", "10", "12", "", "", "", "11", "constant_currency", "", "", "-", "basis"),
    ("Q10", "reported", "10", "12", "", "", "", "11", "", "", "", "-", "basis_unknown"),
    ("Q11", "unknown", "10", "12", "", "", "", "11", "unknown", "", "", "-", "basis_unknown"),
    ("Q12", "reported", "10", "12", "", "", "", "11", "reported", "v2", "", "-", "metric_version"),
    ("Q13", "reported", "10", "12", "", "", "net", "11", "reported", "", "all", "-", "definition"),
    ("Q14", "reported", "10", "12", "", "", "net  of", "11", "reported", "", "net of",
     "upper_half", ""),
    ("Q15", "constant_currency", "10", "12", "", "0.1", "", "", "", "", "", "pending", ""),
]  # fmt: skip


def line(row: tuple[str, ...]) -> str:
    period, basis, low, high, inferred, chance, definition, actual, came, version, other, *_ = row
    return (
        f"growth,%,{period},{basis},v1,{low},{high},a call,2024-07-30,{inferred},{chance},"
        f"{definition},{actual},{came},{version},{other}\n"
    )


def read(*rows: tuple[str, ...]) -> tuple[Promise, ...]:
    return read_guidance((HEADER + "".join(line(row) for row in rows)).encode(), "own.csv")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_verdict_and_every_reason(row: tuple[str, ...]) -> None:
    (promise,) = read(row)
    verdict = score(promise.guidance, promise.actual)
    *_, outcome, reason = row
    assert verdict.outcome == ("not_comparable" if outcome == "-" else outcome)
    assert verdict.reasons == ((reason,) if reason else ())
    assert promise.guidance.inferred == (row[4] == "yes")


def test_the_record_counts_only_what_was_scored() -> None:
    card = scorecard(read(*ROWS))
    counts = card.counts
    assert (counts["beat"], counts["upper_half"], counts["met"]) == (2, 3, 1)
    assert (counts["lower_half"], counts["miss"]) == (1, 2)
    assert (counts["not_comparable"], counts["pending"]) == (5, 1)
    (record,) = card.records
    assert record.errors.count == 9
    assert card.chances is not None
    assert (card.chances.count, card.chances.misses) == (3, 1)
    assert card.chances.expected == Fraction(3, 5)
    assert card.chances.brier == (2 * Fraction(4, 100) + Fraction(64, 100)) / 3


def test_the_document_says_why() -> None:
    found = document(scorecard(read(*ROWS)), "own.csv")
    assert found["schema"] == "quartermaster.guidance-score/1"
    entries = found["guidance"]
    assert isinstance(entries, list)
    assert entries[8]["reasons"] == ["basis"]
    assert entries[14]["actual"] is None
    assert entries[3]["inferred"] is True
    assert entries[0]["guidance"]["issued_on"] == "2024-07-30"
    assert len(entries[12]["guidance"]["figure"]["definition"]) == 64


def test_growth_of_different_units_is_not_added_up() -> None:
    text = HEADER + line(ROWS[0]) + line(ROWS[1]).replace("growth,%", "revenue,USD")
    card = scorecard(read_guidance(text.encode(), "own.csv"))
    assert [(record.metric, record.unit) for record in card.records] == [
        ("growth", "%"),
        ("revenue", "USD"),
    ]


QUARTERS = (
    "fiscal_quarter,growth_reported_pct,growth_cc_pct,guide_low_cc,guide_high_cc,metric_version,"
    "source_guidance,verified\n"
)


def test_quarters_a_line() -> None:
    rows = "Q1,20,21,,,v1,,\nQ2,20,22,21,22,v1,call,yes\nQ3,25,26,21,22,v2,call,\n"
    rows += "Q4,26,,25,,v2,derived from a call,\nQ5,,,25,26,v2,call,\n"
    found = read_guidance((QUARTERS + rows).encode(), "quarters.csv")
    verdicts = [score(promise.guidance, promise.actual) for promise in found]
    assert [verdict.outcome for verdict in verdicts] == [
        "upper_half",
        "not_comparable",
        "not_comparable",
        "pending",
    ]
    assert [verdict.reasons for verdict in verdicts[1:3]] == [
        ("metric_version",),
        ("basis_unknown",),
    ]
    assert [promise.guidance.inferred for promise in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("growth,%", "growth,"), "line 2: unit is empty"),
        (("reported,v1", "as told,v1"), "basis 'as told' is none of"),
        ((",10,12,", ",12,10,"), "cannot run from 12 down to 10"),
        ((",10,12,", ",ten,12,"), "'ten' is not a decimal"),
        ((",13,", ",much,"), "'much' is not a decimal"),
        ((",0.2,", ",1.2,"), "between 0 and 1, not 1.2"),
        ((",2024-07-30,,", ",2024-07-30,maybe,"), "neither yes nor no"),
        (("a call", '"a call'), "not readable as CSV"),
        (("a call", "a call,more"), "17 fields where the header has 16"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_read(change: tuple[str, str], says: str) -> None:
    text = HEADER + line(ROWS[0]).replace(*change)
    with pytest.raises(DataError, match=says):
        read_guidance(text.encode(), "own.csv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'metric'"),
        ("metric,unit\n", "no column 'period'"),
        (HEADER.replace("inferred", "infered"), "unknown column 'infered'"),
        (HEADER, "holds no guidance"),
        (QUARTERS + "Q1,20,21,,,v1,,\n", "holds no guidance"),
    ],
)
def test_a_file_of_something_else_is_refused(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_guidance(text.encode(), "own.csv")


def test_text_in_another_encoding_is_refused() -> None:
    with pytest.raises(DataError, match="UTF-8"):
        read_guidance(HEADER.encode() + b"\xff", "own.csv")


def test_errors_by_hand() -> None:
    found = errors([(Fraction(10), Fraction(11)), (Fraction(10), Fraction(13))])
    assert found.bias == -2
    assert found.mean_absolute == 2
    assert found.corrected == 2
    assert errors([(Fraction(1), Fraction(1))]).corrected is None
    with pytest.raises(UsageError):
        errors([])
    assert chances([]) is None
