"""Who controls whom, from when to when: entities under common control are one customer.

ASC 280-10-50-42 and IFRS 8.34 count a group under common control as one customer, bank supervision
(Basel LEX) aggregates connected counterparties. Control changes: an entity that was bought counts
to its buyer from a month on. Which month's control counts is a choice that a reader must see:
`month` (each month to who controlled the entity then; what was reported) or `last` (all months to
who controls it at the end; what may leave together now).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, get_args

import msgspec

from quartermaster.exposure.months import month_number, month_text
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import DataError, UsageError

RollUp = Literal["month", "last"]
ROLL_UPS: tuple[RollUp, ...] = get_args(RollUp)

MONTH_FIRST, MONTH_LAST = month_number("1970-01"), month_number("2199-12")
"""An end that is left open reaches as far as months are read."""


class Spell(msgspec.Struct, frozen=True):
    """One entity under one group, from month number `first` to `last`, both included."""

    entity: str
    group: str
    first: int
    last: int
    where: str
    """`line 3`, or `entry 2` of a file that has no line for it."""

    @property
    def words(self) -> str:
        """Its months, for messages."""
        first = "the beginning" if self.first == MONTH_FIRST else month_text(self.first)
        last = "now on" if self.last == MONTH_LAST else month_text(self.last)
        return f"{first} to {last}"


class Moved(msgspec.Struct, frozen=True):
    """An entity that counts to one group up to a month and to another after it."""

    entity: str
    before: str
    after: str
    month: str
    """First month of the later group."""


class Control(msgspec.Struct, frozen=True):
    """Every spell of every entity, each entity's in order and without a hole."""

    name: str
    spells: dict[str, tuple[Spell, ...]]

    @classmethod
    def of(cls, name: str, spells: Iterable[Spell]) -> "Control":
        """Check and order the spells of a file.

        Raises:
            DataError: names the file and every line that overlaps another or leaves a gap.
        """
        by_entity: dict[str, list[Spell]] = defaultdict(list)
        for spell in spells:
            by_entity[spell.entity].append(spell)
        ordered = {
            entity: tuple(sorted(found, key=lambda spell: (spell.first, spell.last)))
            for entity, found in by_entity.items()
        }
        bad = [problem for found in ordered.values() for problem in _problems(found)]
        if bad:
            raise DataError(
                f"{name}: control does not add up" + "".join(f"\n  {problem}" for problem in bad),
                hint="each month of an entity belongs to one group; it may be its own",
            )
        return cls(name, ordered)

    def spell(self, entity: str, month: int) -> Spell | None:
        """Who controls the entity in that month."""
        found = (
            spell for spell in self.spells.get(entity, ()) if spell.first <= month <= spell.last
        )
        return next(found, None)

    def unused(self, rows: Sequence[RevenueRow]) -> tuple[str, ...]:
        """Entities of the file that pay nothing in these rows: perhaps misspelt."""
        paying = {row.customer for row in rows}
        return tuple(sorted(entity for entity in self.spells if entity not in paying))

    def moved(self, first: str, last: str) -> tuple[Moved, ...]:
        """Entities that changed their group inside the months `first` to `last`."""
        return tuple(
            Moved(entity, before.group, after.group, month_text(after.first))
            for entity, spells in sorted(self.spells.items())
            for before, after in pairwise(spells)
            if before.group != after.group and first < month_text(after.first) <= last
        )


def _problems(spells: Sequence[Spell]) -> Iterator[str]:
    """What is wrong with the ordered spells of one entity."""
    for before, after in pairwise(spells):
        if after.first <= before.last:
            yield (
                f"{after.where}: {after.entity!r} is in {after.group!r} from {after.words} and,"
                f" by {before.where}, in {before.group!r} from {before.words}"
            )
        elif after.first > before.last + 1:
            gap = month_text(before.last + 1), month_text(after.first - 1)
            months = gap[0] if gap[0] == gap[1] else f"{gap[0]} to {gap[1]}"
            yield (
                f"{after.where}: nobody is said to control {after.entity!r} in {months},"
                f" after {before.where} ends"
            )


def controlled(
    rows: Sequence[RevenueRow], control: Control, name: str, *, roll_up: RollUp, last: str
) -> tuple[RevenueRow, ...]:
    """The rows with the groups of the control file; entities that it does not name stay.

    Args:
        rows: as read.
        control: who controls whom.
        name: of the rows' file, for messages.
        roll_up: whose control counts; see above.
        last: the month whose control counts for `last`.

    Raises:
        DataError: a row whose month the file leaves open, or whose own `group` says another one.
    """
    bad: list[str] = []
    found: list[RevenueRow] = []
    for row in rows:
        try:
            group = _group(row, control, roll_up, month_number(last))
        except UsageError as error:
            bad.append(f"\n  {f'line {row.line}' if row.line else row.month}: {error.message}")
        else:
            same = group == row.group
            found.append(row if same else msgspec.structs.replace(row, group=group))
    if bad:
        raise DataError(
            f"{name} and {control.name} do not agree{''.join(bad)}",
            hint=f"correct {control.name}; an empty `from` or `to` leaves that end open",
        )
    return tuple(found)


def _group(row: RevenueRow, control: Control, roll_up: RollUp, last: int) -> str:
    spells = control.spells.get(row.customer)
    if spells is None:
        return row.group
    month = month_number(row.month)
    spell = control.spell(row.customer, month)
    if spell is None:
        raise UsageError(
            f"{row.customer!r} has revenue in {row.month}, and {control.name} says who controls it"
            f" only from {spells[0].words if len(spells) == 1 else _whole(spells)}"
        )
    if row.group not in (row.customer, spell.group):
        raise UsageError(
            f"{row.customer!r} is in group {row.group!r} here and in {spell.group!r} in"
            f" {control.name}, {spell.where}"
        )
    if roll_up == "last":
        return next((each for each in reversed(spells) if each.first <= last), spells[0]).group
    return spell.group


def _whole(spells: Sequence[Spell]) -> str:
    first, last = spells[0], spells[-1]
    return Spell(first.entity, "", first.first, last.last, "").words
