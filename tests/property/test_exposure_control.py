"""Any way of cutting an entity's months into spells is kept whole, or refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.exposure.control import ROLL_UPS, Control, RollUp, Spell, controlled
from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import DataError

FIRST = month_number("2023-01")
MONTHS = 24
GROUPS = st.sampled_from(["G", "H", "E"])


@st.composite
def cuts(draw: st.DrawFn) -> list[Spell]:
    """Spells that cover all months once, in any order."""
    inner = draw(st.lists(st.integers(1, MONTHS - 1), unique=True, max_size=5))
    edges = [0, *sorted(inner), MONTHS]
    spells = [
        Spell("E", draw(GROUPS), FIRST + start, FIRST + end - 1, f"line {start + 2}")
        for start, end in pairwise(edges)
    ]
    return draw(st.permutations(spells))


@given(cuts(), st.sampled_from(ROLL_UPS), st.integers(0, MONTHS - 1))
def test_no_revenue_is_lost_and_each_month_has_its_group(
    spells: list[Spell], roll_up: RollUp, last: int
) -> None:
    rows = [RevenueRow("E", "E", month_text(FIRST + at), at + 1, "USD") for at in range(MONTHS)]
    until = month_text(FIRST + last)
    found = controlled(rows, Control.of("c", spells), "r", roll_up=roll_up, last=until)
    assert sum(row.minor for row in found) == sum(row.minor for row in rows)
    for at, row in enumerate(found):
        asked = FIRST + (at if roll_up == "month" else last)
        (spell,) = [spell for spell in spells if spell.first <= asked <= spell.last]
        assert row.group == spell.group


@given(cuts(), st.data())
def test_a_spell_moved_by_a_month_overlaps_or_leaves_a_gap(
    spells: list[Spell], data: st.DataObject
) -> None:
    ordered = sorted(spells, key=lambda spell: spell.first)
    if len(ordered) < 2:
        return
    at = data.draw(st.integers(1, len(ordered) - 1))
    by = data.draw(st.sampled_from([-1, 1]))
    moved = ordered[at]
    ordered[at] = Spell("E", moved.group, moved.first + by, moved.last, "the moved one")
    if ordered[at].first > ordered[at].last:
        return
    with pytest.raises(DataError, match="the moved one"):
        Control.of("c", ordered)
