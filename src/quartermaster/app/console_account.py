"""The account page's port: a customer's keys, projects, limits, usage and drafts from the book."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from quartermaster.app.api import MeteredUsage, OwnGateways
from quartermaster.app.rooms import Rooms
from quartermaster.billing.commitment import billing_version
from quartermaster.billing.invoice import Invoice, ShortfallLine
from quartermaster.book.pepper import load_pepper
from quartermaster.book.views import Key, View
from quartermaster.commands import budget as budgets
from quartermaster.commands import invoice as invoices
from quartermaster.commands import key as keys
from quartermaster.commands import project as projects
from quartermaster.commands.actor import Actor
from quartermaster.commands.budget_history import history
from quartermaster.commands.budget_shown import BudgetStates, ShownBudget, read_states, shown
from quartermaster.commands.scope import customer_of
from quartermaster.console.ports_account import (
    AccountDraft,
    AccountFacts,
    AccountKey,
    AccountProject,
    DraftCredit,
    DraftLine,
    DraftShortfall,
    MadeKey,
    NewKey,
    OwnBudget,
    UsageRow,
)
from quartermaster.kernel.clock import (
    US_PER_HOUR,
    Instant,
    Period,
    as_datetime,
    month_named,
    month_of,
    zone,
)
from quartermaster.kernel.errors import NotFoundError, UnavailableError
from quartermaster.kernel.events import Cut, HourlyUsage
from quartermaster.kernel.limit import Limits, LimitScope, project_name
from quartermaster.kernel.money import round_line
from quartermaster.kernel.units import Counts


class RealAccounts:
    """Accounts of the book of a data folder."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._usage = MeteredUsage(rooms)
        self._gateways = OwnGateways(rooms)

    def facts(self, customer: str, month: str, now: Instant) -> AccountFacts:
        """The account in a month."""
        view = self._rooms.book.view()
        who = view.customers.get(customer)
        if who is None:
            raise NotFoundError(f"there is no customer {customer!r}")
        signed = {
            contract_id: versions
            for contract_id, versions in view.contracts.items()
            if versions[-1].customer == customer
        }
        label = month or month_of(now, "UTC").label
        month_named(label, "UTC")
        own = [key for key in view.keys.values() if key.issued.customer == customer]
        own.sort(key=lambda key: (not key.live(now), -key.issued_at, key.issued.key_id))
        metered = self._metered(view, customer, label, now)
        return AccountFacts(
            customer=customer,
            name=who.name,
            standing=view.standing.get(who.group, "active"),
            month=label,
            contracts=tuple(
                contract_id for contract_id in sorted(signed) if view.contract_at(contract_id, now)
            ),
            projects=_projects(view, customer, now),
            keys=tuple(_key(view, key, now) for key in own),
            limits=view.limits.get(("group", who.group), Limits()),
            budgets=_budgets(view, customer, read_states(self._rooms.var), now),
            usage=() if metered is None else _usage(view, metered, label),
            drafts=() if metered is None else _drafts(view, metered, tuple(signed), label, now),
            usage_missing=metered is None,
        )

    def budget(
        self, customer: str, scope: LimitScope, name: str, month: str, now: Instant
    ) -> OwnBudget:
        """One of its budgets, and a month of it."""
        view, states = self._rooms.book.view(), read_states(self._rooms.var)
        own = _budgets(view, customer, states, now) if customer in view.customers else ()
        known = next((one for one in own if (one.scope, one.name) == (scope, name)), None)
        found = None
        if known is not None:
            found = history(view, scope, name, month, self._usage.now, states, now)
        if known is None or found is None:
            raise NotFoundError(f"there is no budget of {scope} {name!r}")
        project = view.projects.get((customer, name.partition("/")[2]))
        called = project.added.name if scope == "project" and project is not None else ""
        return OwnBudget(known, called, found)

    def issue(self, customer: str, user: str, wanted: NewKey, now: Instant) -> MadeKey:
        """Make a key."""
        made = keys.issue(
            self._rooms.book,
            _actor(customer, user),
            contract=wanted.contract,
            pepper=self._pepper(),
            now=now,
            project=wanted.project,
            models=wanted.models,
            networks=wanted.networks,
        )
        return MadeKey(id=made.key_id, secret=made.secret, served=self._publish(now))

    def rotate(
        self, customer: str, user: str, key_id: str, overlap_hours: int, now: Instant
    ) -> MadeKey:
        """Give a key a successor."""
        made = keys.rotate(
            self._rooms.book,
            _actor(customer, user),
            key_id,
            overlap_us=overlap_hours * US_PER_HOUR,
            pepper=self._pepper(),
            now=now,
        )
        return MadeKey(
            id=made.key_id,
            secret=made.secret,
            replaces=key_id,
            ends_at=None if made.ends_at is None else Instant(made.ends_at),
            served=self._publish(now),
        )

    def revoke(self, customer: str, user: str, key_id: str, reason: str, now: Instant) -> None:
        """Stop a key for good."""
        keys.revoke(self._rooms.book, _actor(customer, user), key_id, reason, now)
        self._publish(now)

    def add_project(self, customer: str, user: str, project: str, name: str, now: Instant) -> None:
        """Add a project."""
        projects.add(
            self._rooms.book,
            _actor(customer, user),
            customer=customer,
            project=project,
            name=name,
            now=now,
        )

    def _publish(self, now: Instant) -> bool:
        return not self._gateways.publish(now).gateways.late

    def _pepper(self) -> bytes:
        return load_pepper(self._rooms.var / "secrets" / "key_pepper")

    def _metered(self, view: View, customer: str, label: str, now: Instant) -> "_Metered | None":
        """The month's usage in every zone of a contract; None where nothing can read it."""
        try:
            cut = self._usage.cut()
            invoices.require_shipped(view, cut)
            months = [month_named(label, zone) for zone in {*_zones(view).values(), "UTC"}]
            months += [
                invoices.usage_span(view, versions[-1], month)
                for versions in view.contracts.values()
                if versions[-1].customer == customer
                and (month := month_named(label, versions[-1].time_zone)).start <= now
            ]
            span = Period(
                min(one.start for one in months), max(one.end for one in months), label, "UTC"
            )
            return _Metered(cut, self._usage.hourly(cut, customer=customer, period=span))
        except UnavailableError:
            return None


class _Metered(msgspec.Struct, frozen=True):
    """One customer's hours, and the cut that they were read at."""

    cut: Cut
    rows: list[HourlyUsage]


def _zones(view: View) -> dict[str, str]:
    return {contract_id: versions[0].time_zone for contract_id, versions in view.contracts.items()}


def _usage(view: View, metered: _Metered, label: str) -> tuple[UsageRow, ...]:
    """Each row in the month of its own contract's time zone."""
    zones = _zones(view)
    months = {zone: month_named(label, zone) for zone in {*zones.values(), "UTC"}}
    return _summed(
        row for row in metered.rows if row.hour in months[zones.get(row.contract, "UTC")]
    )


def _drafts(
    view: View, metered: _Metered, contracts: tuple[str, ...], label: str, now: Instant
) -> tuple[AccountDraft, ...]:
    found = []
    for contract_id in sorted(contracts):
        versions = view.contracts[contract_id]
        period = month_named(label, versions[0].time_zone)
        agreed = billing_version(versions, period)
        if agreed is None or now < period.start:
            continue
        invoice = invoices.compute(view, agreed, period, metered.cut, metered.rows, until=now)
        lines = tuple(
            DraftLine(
                model=line.model,
                service_class=line.service_class,
                meter=line.axis,
                quantity=line.quantity,
                price=line.price,
                unit=line.unit,
                amount=line.amount,
                minor=line.minor,
            )
            for line in invoice.lines
        )
        found.append(
            AccountDraft(
                contract=contract_id,
                total_minor=invoice.total_minor,
                currency=invoice.currency,
                unpriced=sum(entry.quantity for entry in invoice.unpriced),
                lines=lines,
                shortfalls=tuple(_shortfall(line, invoice) for line in invoice.shortfalls),
                ahead=tuple(_shortfall(line, invoice) for line in invoice.ahead),
                credits=tuple(
                    DraftCredit(case=line.case, minor=line.minor, left_minor=line.left_minor)
                    for line in invoice.credits
                ),
            )
        )
    return tuple(found)


def _shortfall(line: ShortfallLine, invoice: Invoice) -> DraftShortfall:
    local = zone(invoice.period.zone)
    first, last = (
        as_datetime(Instant(at)).astimezone(local).date() for at in (line.start, line.end - 1)
    )
    return DraftShortfall(
        first=first,
        last=last,
        floor_minor=round_line(line.floor, invoice.currency, invoice.rounding).minor,
        counted_minor=line.counted_minor,
        amount=line.amount,
        minor=line.minor,
    )


def _actor(customer: str, user: str) -> Actor:
    """A user of a customer, who may do what the customer may and nothing else."""
    return Actor(user, ("customer",), customer)


def _projects(view: View, customer: str, now: Instant) -> tuple[AccountProject, ...]:
    """The projects that keys can be made for, the one that everybody has first."""
    added = [
        AccountProject(
            one.added.project,
            one.added.name,
            projects.live_keys(view, customer, one.added.project, now),
            _limits(view, customer, one.added.project),
        )
        for one in projects.all_of(view, customer)
        if one.archived_at is None
    ]
    live = projects.live_keys(view, customer, projects.DEFAULT, now)
    limits = _limits(view, customer, projects.DEFAULT)
    return (AccountProject(projects.DEFAULT, projects.DEFAULT, live, limits), *added)


def _limits(view: View, customer: str, project: str) -> Limits:
    return view.limits.get(("project", project_name(customer, project)), Limits())


def _budgets(
    view: View, customer: str, states: BudgetStates, now: Instant
) -> tuple[ShownBudget, ...]:
    """Budgets that nobody else spends."""
    group = view.customers[customer].group
    shared = sum(one.group == group for one in view.customers.values()) > 1
    return tuple(
        shown(found, states, now)
        for found in budgets.all_budgets(view)
        if customer_of(view, found.scope, found.name) == customer
        or (not shared and (found.scope, found.name) == ("group", group))
    )


def _key(view: View, key: Key, now: Instant) -> AccountKey:
    issued = key.issued
    return AccountKey(
        id=issued.key_id,
        project=issued.project,
        contract=issued.contract,
        models=issued.models,
        endpoints=issued.endpoints,
        networks=issued.networks,
        issued_at=Instant(key.issued_at),
        ends_at=None if key.expires_at is None else Instant(key.expires_at),
        successor="" if key.rotated is None else key.rotated.successor,
        live=key.live(now) and not view.archived(issued.customer, issued.project),
        limits=view.limits.get(("key", issued.key_id), Limits()),
    )


def _summed(rows: Iterable[HourlyUsage]) -> tuple[UsageRow, ...]:
    counts: dict[tuple[str, ...], Counts] = defaultdict(Counts)
    requests: dict[tuple[str, ...], int] = defaultdict(int)
    for row in rows:
        key = (row.project, row.key_id, row.model, row.service_class)
        counts[key] += row.counts
        requests[key] += row.requests
    return tuple(
        msgspec.convert(
            {
                "project": key[0],
                "key_id": key[1],
                "model": key[2],
                "service_class": key[3],
                "requests": requests[key],
                "input_tokens": used.input + used.cache_write + used.audio_input,
                "cached_tokens": used.cached_read,
                "output_tokens": used.output + used.reasoning + used.audio_output,
            },
            UsageRow,
        )
        for key, used in sorted(counts.items())
    )
