"""Disclosure rules are tested on the whole entity's revenue; every figure names its rows."""

import pytest

from quartermaster.console.format import Lang
from quartermaster.console.report_disclosure import disclosure_text, line_ranges, view_of
from quartermaster.exposure.disclosure import (
    DisclosureTest,
    EntityRevenue,
    RowLink,
    RuleId,
    disclosure_test,
)
from quartermaster.exposure.report import InputFile
from quartermaster.exposure.rollup import measure
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import NotFoundError, UsageError

ROWS = tuple(
    RevenueRow(customer, group, f"2024-{month:02}", minor, "USD", line=line)
    for line, (customer, group, minor, month) in enumerate(
        (
            (customer, group, minor, month)
            for customer, group, minor in (
                ("TikTok", "ByteDance", 2_000),
                ("CapCut", "ByteDance", 400),
                ("Acme", "Acme", 7_600),
            )
            for month in range(1, 13)
        ),
        start=2,
    )
)
INPUTS = (InputFile("r.csv", "ab" * 32),)


def outcome(rule: RuleId, entity: int | None, **more: str) -> DisclosureTest:
    exposure = measure(ROWS, scope="the service line")
    given = (
        EntityRevenue(exposure.denominator.minor, "USD", whole_file=True)
        if entity is None
        else EntityRevenue(entity, "USD", whole_file=False)
    )
    return disclosure_test(
        ROWS, exposure, rule, given, governments=tuple(more.get("governments", "").split())
    )


def test_a_quarter_of_a_service_line_is_no_disclosure() -> None:
    found = outcome("asc280", 245_122_000)
    assert found.must_disclose is False
    (nearest,) = found.customers
    assert nearest.group == "Acme"
    assert nearest.share_of_file == pytest.approx(0.76)
    assert nearest.share_of_entity < 0.001
    text = disclosure_text(view_of(found, INPUTS, "en"), "en")
    assert "Nothing to disclose" in text
    assert "the rule asks for the share of the whole entity" in text


@pytest.mark.parametrize("rule", ["asc280", "ifrs8"])
def test_ten_per_cent_is_decided_exactly_and_on_the_group(rule: RuleId) -> None:
    just = outcome(rule, 288_000)
    assert [customer.group for customer in just.disclosed] == ["Acme", "ByteDance"]
    under = outcome(rule, 288_001)
    assert [customer.group for customer in under.disclosed] == ["Acme"]
    assert just.must_disclose


def test_every_figure_names_its_rows() -> None:
    found = outcome("asc280", None)
    group = found.disclosed[1]
    assert sum(row.minor for row in group.rows) == group.minor
    assert [row.line for row in group.rows] == list(range(2, 26))
    assert {row.customer for row in group.rows} == {"TikTok", "CapCut"}
    view = view_of(found, INPUTS, "en")
    assert "[4] $288.00: ByteDance; rows of r.csv: 24, at lines 2-25" in view.figures
    assert any(found.data_sha256 in line for line in view.figures)
    assert any("ab" * 32 in line for line in view.figures)
    assert "$288.00 [4], which is 24.0% [5] of total revenue of $1,200.00 [1]" in view.draft[2]


def test_the_draft_of_item_105_has_a_sub_caption_and_blanks() -> None:
    found = outcome("regsk105", None)
    assert found.must_disclose is None
    view = view_of(found, INPUTS, "en")
    assert view.draft[0].startswith("We depend on 2 customers")
    assert "[State from the contract" in view.draft[-1]
    assert view_of(outcome("regsk105", 10**9), INPUTS, "en").draft == ()


@pytest.mark.parametrize(
    ("rule", "lang", "word"),
    [("ifrs8", "de", "Umsatzerlöse"), ("ifrs8", "en", "revenue"), ("asc280", "de", "revenue")],
)
def test_us_drafts_stay_english(rule: RuleId, lang: Lang, word: str) -> None:
    view = view_of(outcome(rule, None), INPUTS, lang)
    assert word in view.draft[0]
    marks = {"de": "Entwurf zur rechtlichen Prüfung", "en": "Draft for counsel"}
    assert marks[lang] in disclosure_text(view, lang)


def test_governments_are_marked_and_noted() -> None:
    found = outcome("ifrs8", None, governments="Acme")
    assert found.customers[0].government
    assert "government_judgement" in found.notes
    assert "a government" in view_of(found, INPUTS, "en").draft[1]
    assert "government_one" in outcome("asc280", None).notes
    with pytest.raises(NotFoundError, match="Nobody"):
        outcome("ifrs8", None, governments="Nobody")


def test_an_entity_smaller_than_its_part_is_refused() -> None:
    with pytest.raises(UsageError, match="smaller than that of the file"):
        outcome("asc280", 119_999)


def test_a_short_period_is_noted() -> None:
    exposure = measure(ROWS, scope="x", months=3)
    entity = EntityRevenue(10**6, "USD", whole_file=False)
    assert "short_period" in disclosure_test(ROWS, exposure, "asc280", entity).notes
    assert "short_period" not in outcome("asc280", None).notes


def test_ranges_of_lines() -> None:
    def links(*lines: int) -> list[RowLink]:
        return [RowLink(line, "a", "", "2024-01", 1) for line in lines]

    assert line_ranges(links(2, 3, 4, 9, 11, 12)) == "2-4, 9, 11-12"
    assert line_ranges(links(0, 0)) == ""
    assert line_ranges(links(*range(1, 60, 2))).endswith("…")
