"""What a disclosure rule asks about single customers, tested on the revenue of the whole entity.

Three rules as data. ASC 280-10-50-42 and IFRS 8.34 draw a line at 10 % of the *reporting entity's*
revenue and count a group under common control as one customer; 24 % of a service line is not what
they ask about. Regulation S-K Item 105 draws no line: it asks for material risk factors, specific
and under their own sub-captions. So the entity's revenue is asked for, never guessed, and every
figure says from which rows it was added up. Nothing here is legal advice; words are drafts.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Literal, get_args

import msgspec

from quartermaster.exposure.concentration import is_reportable
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.rollup import Denominator, Exposure, Member
from quartermaster.exposure.rows import RevenueRow
from quartermaster.kernel.errors import NotFoundError, UsageError

RuleId = Literal["asc280", "ifrs8", "regsk105"]
RULE_IDS: tuple[RuleId, ...] = get_args(RuleId)
Note = Literal[
    "common_control",
    "government_one",
    "government_judgement",
    "name_not_required",
    "segments",
    "no_threshold",
    "specific",
    "sub_caption",
    "summary",
    "not_a_period",
    "short_period",
    "sample",
]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: where it stands, whether it draws a line, what must be said, what to look out for."""

    id: RuleId
    citation: str
    bright_line: bool
    """Whether 10 % decides; else materiality does, and 10 % only selects who is drafted about."""
    notes: tuple[Note, ...]


RULES: dict[RuleId, Rule] = {
    "asc280": Rule(
        id="asc280",
        citation="FASB ASC 280-10-50-42",
        bright_line=True,
        notes=("common_control", "government_one", "name_not_required", "segments"),
    ),
    "ifrs8": Rule(
        id="ifrs8",
        citation="IFRS 8.34",
        bright_line=True,
        notes=("common_control", "government_judgement", "name_not_required", "segments"),
    ),
    "regsk105": Rule(
        id="regsk105",
        citation="Regulation S-K Item 105 (17 CFR 229.105)",
        bright_line=False,
        notes=("no_threshold", "specific", "sub_caption", "summary"),
    ),
}


class EntityRevenue(msgspec.Struct, frozen=True):
    """Revenue of the whole reporting entity in the months tested, and who says so."""

    minor: int
    currency: str
    whole_file: bool
    """The user said that the file holds all of it; else the amount was given."""


class RowLink(msgspec.Struct, frozen=True, order=True):
    """A row that a figure was added up from; line 0 where it came from no file."""

    line: int
    customer: str
    product: str
    month: str
    minor: int


class TestedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """One customer (a group is one) against the entity's revenue and against the file's."""

    group: str
    minor: int
    share_of_entity: float
    share_of_file: float
    reaches_line: bool
    """At least 10 % of the entity's revenue, decided on integers."""
    members: tuple[Member, ...]
    government: bool
    rows: tuple[RowLink, ...]


class DisclosureTest(msgspec.Struct, frozen=True, kw_only=True):
    """What the rule finds: everyone that reaches the line, or else the one that comes nearest."""

    rule: Rule
    denominator: Denominator
    """Of the file."""
    entity: EntityRevenue
    customers: tuple[TestedCustomer, ...]
    data_sha256: str
    notes: tuple[Note, ...]
    segment: str = ""

    @property
    def disclosed(self) -> tuple[TestedCustomer, ...]:
        """Customers that reach the line."""
        return tuple(customer for customer in self.customers if customer.reaches_line)

    @property
    def must_disclose(self) -> bool | None:
        """What the figures decide; None where the rule leaves it to judgement."""
        return bool(self.disclosed) if self.rule.bright_line else None


def disclosure_test(
    rows: Sequence[RevenueRow],
    exposure: Exposure,
    rule: RuleId,
    entity: EntityRevenue,
    *,
    governments: Collection[str] = (),
    segment: str = "",
) -> DisclosureTest:
    """Test every customer against the revenue of the whole entity.

    Args:
        rows: what `exposure` was measured from, rolled up to groups.
        exposure: by group, of the months that are reported on.
        rule: which rule.
        entity: its whole revenue of the same months.
        governments: groups that are a government, as the user knows.
        segment: name of the reporting segment, for the draft.

    Raises:
        UsageError: another currency, an entity smaller than the file, or one without revenue.
        NotFoundError: a government that pays nothing.
    """
    _check(exposure, entity, governments)
    total, of_file = entity.minor, exposure.denominator.minor
    reaching = [group for group in exposure.groups if is_reportable(group.minor, total)]
    shown = reaching or exposure.groups[:1]
    links = _links(rows, exposure, {group.group for group in shown})
    return DisclosureTest(
        rule=RULES[rule],
        denominator=exposure.denominator,
        entity=entity,
        customers=tuple(
            TestedCustomer(
                group=group.group,
                minor=group.minor,
                share_of_entity=group.minor / total,
                share_of_file=group.minor / of_file,
                reaches_line=is_reportable(group.minor, total),
                members=group.members,
                government=group.group in governments,
                rows=links[group.group],
            )
            for group in shown
        ),
        data_sha256=exposure.data_sha256,
        notes=(*RULES[rule].notes, *_notes(exposure)),
        segment=segment,
    )


def _check(exposure: Exposure, entity: EntityRevenue, governments: Collection[str]) -> None:
    denominator = exposure.denominator
    if entity.currency != denominator.currency:
        raise UsageError(f"the entity is in {entity.currency}, the file in {denominator.currency}")
    net = denominator.minor + sum(member.minor for member in exposure.excluded)
    if entity.minor < net:
        raise UsageError(
            "the entity's revenue is smaller than that of the file, which is a part of it",
            hint=f"give the revenue of {denominator.first} to {denominator.last}, of all customers",
        )
    if entity.minor <= 0:
        raise UsageError("the entity has no positive revenue in these months")
    known = {group.group for group in exposure.groups}
    for name in sorted(governments):
        if name not in known:
            raise NotFoundError(
                f"no customer (group) is called {name!r}",
                hint="write the group as `quartermaster exposure` lists it",
            )


def _links(
    rows: Sequence[RevenueRow], exposure: Exposure, groups: Collection[str]
) -> dict[str, tuple[RowLink, ...]]:
    first, last = exposure.denominator.first, exposure.denominator.last
    found: dict[str, list[RowLink]] = defaultdict(list)
    for row in rows:
        if row.group in groups and first <= row.month <= last:
            found[row.group].append(
                RowLink(row.line, row.customer, row.product, row.month, row.minor)
            )
    return {group: tuple(sorted(links)) for group, links in found.items()}


def _notes(exposure: Exposure) -> list[Note]:
    notes: list[Note] = []
    if exposure.denominator.measure == "annual_rate":
        notes.append("not_a_period")
    elif exposure.denominator.months < MONTHS_A_YEAR:
        notes.append("short_period")
    if exposure.sample or exposure.filled:
        notes.append("sample")
    return notes
