"""Who controls whom, with dates: overlaps, gaps and disagreements are named, moves are kept."""

import pytest

from quartermaster.exposure.control import Control, RollUp, controlled
from quartermaster.exposure.control_file import read_control
from quartermaster.exposure.rollup import measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import DataError

HEADER = "entity,group,from,to\n"
BOUGHT = HEADER + "CapCut,CapCut,,2024-02\nCapCut,ByteDance,2024-03,\nTikTok,ByteDance,,\n"


def read(text: str, name: str = "control.csv") -> Control:
    return read_control(text.encode(), name)


def refusal(text: str, name: str = "control.csv") -> str:
    with pytest.raises(DataError) as caught:
        read(text, name)
    return caught.value.message


def rows(*entries: tuple[str, str, str, int]) -> list[RevenueRow]:
    return [
        RevenueRow(customer, group or customer, month, minor, "USD", line=line)
        for line, (customer, group, month, minor) in enumerate(entries, start=2)
    ]


REVENUE = rows(
    ("TikTok", "", "2024-01", 100),
    ("TikTok", "", "2024-04", 100),
    ("CapCut", "", "2024-01", 30),
    ("CapCut", "", "2024-04", 50),
    ("Acme", "", "2024-04", 20),
)


@pytest.mark.parametrize(
    ("roll_up", "expected"),
    [
        ("month", {"ByteDance": 250, "CapCut": 30, "Acme": 20}),
        ("last", {"ByteDance": 280, "Acme": 20}),
    ],
)
def test_a_bought_entity_counts_to_its_buyer_from_then_on_or_wholly(
    roll_up: RollUp, expected: dict[str, int]
) -> None:
    moved = controlled(REVENUE, read(BOUGHT), "r.csv", roll_up=roll_up, last="2024-04")
    found = measure(moved, scope="us")
    assert {group.group: group.minor for group in found.groups} == expected
    assert found.denominator.minor == 300


def test_before_the_purchase_the_last_month_is_another_one() -> None:
    found = controlled(REVENUE, read(BOUGHT), "r.csv", roll_up="last", last="2024-02")
    assert {row.group for row in found if row.customer == "CapCut"} == {"CapCut"}


def test_moves_inside_the_window_are_told() -> None:
    control = read(BOUGHT)
    (moved,) = control.moved("2024-01", "2024-04")
    assert (moved.entity, moved.before, moved.after) == ("CapCut", "CapCut", "ByteDance")
    assert moved.month == "2024-03"
    assert control.moved("2024-03", "2024-12") == ()
    assert control.unused(REVENUE[:2]) == ("CapCut",)


def test_overlaps_and_gaps_name_their_lines() -> None:
    message = refusal(
        HEADER
        + "A,G,2023-01,2023-06\nA,H,2023-06,2023-12\n"
        + "B,G,2023-01,2023-06\nB,H,2023-09,\n"
        + "C,G,2023-01,\nC,H,2023-05,2023-07\n"
    )
    overlap, gap, open_ended = message.splitlines()[1:]
    assert overlap.startswith("  line 3: 'A' is in 'H' from 2023-06 to 2023-12 and, by line 2,")
    assert gap.startswith("  line 5: nobody is said to control 'B' in 2023-07 to 2023-08")
    assert open_ended.startswith("  line 7: 'C'")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + "A,G,2024-1,\n", "line 2: '2024-1' is not a month"),
        (HEADER + "A,G,2024-05,2024-01\n", "line 2: 'A': 2024-05 is after 2024-01"),
        (HEADER + ",G,,\n", "line 2: entity is empty"),
        (HEADER + "A,G,\n", "line 2: 3 fields where the header has 4"),
        ("entity,group\nA,G\n", "line 1: the columns are entity, group"),
        (HEADER, "says nothing about control"),
    ],
)
def test_bad_lines_are_refused(text: str, says: str) -> None:
    assert says in refusal(text)


def test_toml_names_the_line_of_the_entry() -> None:
    first = '# who\n[[control]]\nentity = "A"\ngroup = "G"\nto = "2024-03"\n'
    control = read(first + '[[control]]\nentity = "A"\ngroup = "H"\nfrom = "2024-04"\n', "c.toml")
    assert [spell.where for spell in control.spells["A"]] == ["line 2", "line 6"]
    again = first + '[[control]]\nentity = "A"\ngroup = "H"\nfrom = "2024-02"\n'
    assert "line 6: 'A' is in 'H'" in refusal(again, "c.toml")
    assert "line 2: unknown field 'until'" in refusal(
        '# who\n[[control]]\nentity = "A"\nuntil = "2024-01"\n', "c.toml"
    )
    assert "entry 1: 'x' is not a month" in refusal(
        'control = [{entity = "A", group = "G", from = "x"}]\n', "c.toml"
    )


def test_revenue_in_a_month_that_is_left_open_is_refused() -> None:
    control = read(HEADER + "TikTok,ByteDance,2024-02,\n")
    with pytest.raises(DataError, match=r"line 2: 'TikTok' has revenue in 2024-01"):
        controlled(REVENUE, control, "r.csv", roll_up="month", last="2024-04")


def test_a_group_column_that_says_otherwise_is_refused() -> None:
    control = read(HEADER + "TikTok,ByteDance,,\n")
    disagreeing = rows(("TikTok", "Oracle", "2024-01", 1))
    with pytest.raises(DataError, match=r"'Oracle' here and in 'ByteDance' in control.csv, line 2"):
        controlled(disagreeing, control, "r.csv", roll_up="month", last="2024-01")
    agreeing = rows(("TikTok", "ByteDance", "2024-01", 1))
    assert controlled(agreeing, control, "r.csv", roll_up="month", last="2024-01") == tuple(
        agreeing
    )
