"""Put a case file together: the case, names, models, the journal's hashes, redacted requests."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from quartermaster.app.rooms import Rooms
from quartermaster.book.chain import Entry, Head
from quartermaster.book.views import View
from quartermaster.commands import case as cases
from quartermaster.commands.actor import Actor
from quartermaster.commands.case_party import addressee as party_of
from quartermaster.commands.case_read import entries, known
from quartermaster.conduct.case_file import (
    EXEMPLARS_MAX,
    CaseFile,
    ChainEntry,
    ModelSeen,
    redacted,
    sha256,
)
from quartermaster.conduct.cases import Case
from quartermaster.conduct.cases_shown import shown
from quartermaster.kernel.case import FileMade
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.contract import PermittedUse


class Exemplars(NamedTuple):
    """Requests as they were asked."""

    day: str
    """On which, such as `2026-11-23`, UTC."""
    asked: tuple[str, ...]


def case_file(
    rooms: Rooms,
    case_id: str,
    now: Instant,
    *,
    exemplars: Exemplars | None = None,
    account: str = "",
) -> CaseFile:
    """The file of a case as it is now; writes nothing.

    Args:
        rooms: the book and the settings.
        case_id: which case.
        now: microseconds UTC.
        exemplars: requests of the cluster; they are shown redacted, and only where the contracts in
            force let content be kept, for as long as they let it.
        account: the customer whose requests they are; of another name, everybody of the group
            must let content be kept.

    Raises:
        NotFoundError: there is no such case.
    """
    with rooms.book.reading() as unit:  # one, so that steps and entries are of the same moment
        case, view, head = known(unit, case_id), unit.view(), unit.journal.head()
        found = entries(unit, case_id)
    content = "not_kept"
    if exemplars is not None:
        content = _hidden(view, case.group, account, exemplars.day, now)
    group, named = view.groups.get(case.group), view.customers.get(party_of(view, case))
    return assembled(
        case,
        now,
        sign_off_share=float(rooms.settings.standing.share),
        group_name=case.group if group is None else group.name,
        addressee="" if named is None else named.name,
        persons={user.id: user.name for user in view.users.values()},
        served=[(as_datetime(Instant(one.first_at)), one.fact.model)
                for one in view.deployments.values()],
        exemplars=()
        if exemplars is None or content
        else tuple(map(redacted, exemplars.asked[:EXEMPLARS_MAX])),
        content=content,
        found=found,
        head=(head.seq, head.sha256),
    )  # fmt: skip


def assembled(
    case: Case,
    now: Instant,
    *,
    sign_off_share: float,
    group_name: str,
    persons: dict[str, str],
    addressee: str = "",
    served: Sequence[tuple[datetime, str]] = (),
    exemplars: tuple[str, ...] = (),
    content: str = "not_kept",
    found: Sequence[Entry] = (),
    head: tuple[int, str] = (0, ""),
) -> CaseFile:
    """The file of a case from its parts."""
    return CaseFile(
        case=shown(case, now, sign_off_share),
        made_at=as_datetime(now),
        group_name=group_name,
        addressee=addressee,
        persons=persons,
        models=_models(case, served),
        explained_by=_explained_by(case),
        exemplars=exemplars,
        content=content,
        entries=tuple(
            ChainEntry(one.seq, as_datetime(Instant(one.at)), one.actor, one.prev, one.sha256)
            for one in found
        ),
        head_seq=head[0],
        head_sha256=head[1],
    )


def recorded(rooms: Rooms, actor: Actor, file: CaseFile, now: Instant) -> str:
    """Write to the journal that the file was made, if its chain holds; returns the file's hash.

    Raises:
        IntegrityError: the journal that the file was made of was changed.
        NotAllowedError: the actor may not.
    """
    with rooms.book.reading() as unit:
        unit.journal.verify(expected=Head(file.head_seq, file.head_sha256))
    digest = sha256(file)
    event = FileMade(sha256=digest, journal_seq=file.head_seq, journal_sha256=file.head_sha256)
    cases.tell(rooms.book, actor, file.case.summary.id, event, now)
    return digest


def exemplars_of(path: Path, account: str) -> Exemplars | None:
    """What the account asked anew on the last day of a file of account-days; None for nothing.

    Raises:
        DataError: the file cannot be read, or says nothing about the account.
    """
    from quartermaster.app.case_days import evidence_of_file

    found = evidence_of_file(path, account, key=bytes(32))
    return Exemplars(found.day, found.asked_anew) if found.asked_anew else None


def _hidden(view: View, group: str, account: str, day: str, now: Instant) -> str:
    """Why requests of a day are not shown; empty where every contract in force still allows it."""
    members = {one.id for one in view.customers.values() if one.group == group}
    whose = members & {account} or members
    in_force = [view.contract_at(name, now) for name in view.contracts]
    theirs = [one for one in in_force if one is not None and one.customer in whose]
    # A contract that names no time lets nothing be kept for any.
    if not theirs or not all(one.retain_content and one.retention_days for one in theirs):
        return "not_permitted"
    age = as_datetime(now).date() - date.fromisoformat(day)
    return "too_old" if age.days > min(one.retention_days for one in theirs) else ""


def _models(case: Case, served: Sequence[tuple[datetime, str]]) -> tuple[ModelSeen, ...]:
    """When models were first served, and first used after the account's first day."""
    first_served: dict[str, str] = {}
    for at, model in sorted(served):
        first_served.setdefault(model, at.date().isoformat())
    used: dict[str, str] = {}
    for day in case.evidence.days:
        for model in day.models:
            used.setdefault(model, day.day)
    first_day = case.evidence.days[0].day if case.evidence.days else ""
    found = [ModelSeen(on, model, "served") for model, on in first_served.items()]
    found += [ModelSeen(on, model, "used") for model, on in used.items() if on != first_day]
    return tuple(sorted(found, key=lambda one: (one.on, one.model, one.what)))


def _explained_by(case: Case) -> dict[str, tuple[str, ...]]:
    if not case.evidence.findings:
        return {}
    # The detectors need numpy; a case that holds none of their findings does not.
    from quartermaster.conduct.declared import DISTILLATION, EXPLAINS

    named: PermittedUse = "distillation_named_models"
    uses = {**EXPLAINS, named: DISTILLATION}
    return {
        one.kind: found
        for one in case.evidence.findings
        if (found := tuple(use for use, kinds in uses.items() if one.kind in kinds))
    }
