"""The queue of cases, what may follow in one, and a customer's own cases: in words."""

from datetime import datetime
from decimal import Decimal
from typing import get_args
from urllib.parse import quote

import msgspec

from quartermaster.conduct.case_file import CaseFile
from quartermaster.conduct.cases_shown import CaseSummary, DeadlineShown, MoveShown, OwnCase
from quartermaster.conduct.notice import in_language, kind_words
from quartermaster.console.board_view import BoardView
from quartermaster.console.case_report import view_of
from quartermaster.console.case_words import CaseDesk, case_desk, credit_lines, notice_parts
from quartermaster.console.format import Lang, day, money, number
from quartermaster.console.language import Words
from quartermaster.console.ports_cases import Queue
from quartermaster.console.report_words import catalogue
from quartermaster.kernel.case import Move

MOVES: tuple[Move, ...] = get_args(Move)


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A case in the queue."""

    href: str
    id: str
    group: str
    state: str
    standing: str
    kinds: str
    evidence: str
    due: str
    kind: str
    """Class of the row: `risk` where somebody is waited for."""


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of all cases."""

    rows: tuple[QueueRow, ...]
    sample: QueueRow | None
    automatic: str
    """What happens without a person."""


class MoveView(msgspec.Struct, frozen=True, kw_only=True):
    """A move that may follow."""

    move: Move
    name: str
    button: str
    needs: str
    urgent: bool
    slice: bool
    refused: str


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of a case."""

    href: str
    report: BoardView
    state: str
    ended: bool
    locked: str
    """Why this reader takes no steps; empty where it does."""
    moves: tuple[MoveView, ...]
    waits: str
    proposal: int
    """What a signature on this page signs."""
    void: bool
    own_proposal: bool
    """Whether this reader proposed it: then somebody else signs."""
    appeal: str
    appeal_by: str


class OwnNotice(msgspec.Struct, frozen=True):
    """What the customer was told: title, day, and the lines of it."""

    title: str
    at: str
    lines: tuple[str, ...]
    rests_on: tuple[str, ...]
    """What it rests on, after the lines."""
    remedies: tuple[str, ...]
    """What the customer can do and gets, at the end."""


class OwnView(msgspec.Struct, frozen=True, kw_only=True):
    """One case as its customer sees it."""

    id: str
    href: str
    state: str
    due: tuple[str, ...]
    notices: tuple[OwnNotice, ...]
    said: tuple[str, ...]
    appeals: tuple[tuple[str, str], ...]
    credits: tuple[str, ...]
    may_answer: bool
    may_appeal: bool


def queue_view(queue: Queue, lang: Lang) -> QueueView:
    """Every case in words."""
    sample = queue.sample
    return QueueView(
        rows=tuple(_row(line, queue.names, lang) for line in queue.lines),
        sample=None if sample is None else _row(sample, {}, lang),
        automatic=_automatic(queue, lang),
    )


def case_view(file: CaseFile, lang: Lang, *, may_step: bool, me: str = "") -> CaseView:
    """One case in words, with the steps that this reader, `me` by id, may take."""
    on, case = case_desk(file, lang), file.case
    words, pending = on.words, case.pending
    locked = ""
    if case.summary.sample:
        locked = words("page.sample_locked")
    elif not may_step:
        locked = words("page.read_only")
    appeals = [one for one in case.appeals if one.granted is None]
    waits = ""
    if pending is not None and not pending.void:
        waits = words(
            "act.waits",
            who=on.person(pending.by),
            move=words(f"move.{pending.asked.move}"),
            reason=on.reason(pending.asked.reason).rstrip("."),
            day=day(pending.until.date(), lang),
        )
    return CaseView(
        href=f"/cases/{quote(case.summary.id, safe='')}",
        report=view_of(file, lang),
        state=on.state,
        ended=case.summary.ended,
        locked=locked,
        moves=tuple(_move(one, on) for one in case.moves),
        waits=waits,
        proposal=0 if pending is None else pending.number,
        void=pending is not None and pending.void,
        own_proposal=pending is not None and pending.by == me,
        appeal=words("act.decide_lead", text=appeals[-1].text) if appeals else "",
        appeal_by=words("act.decide_by", day=day(appeals[-1].decide_until.date(), lang))
        if appeals
        else "",
    )


def own_view(cases: tuple[OwnCase, ...], lang: Lang) -> tuple[OwnView, ...]:
    """A customer's cases in words."""
    words = catalogue("case", lang)
    return tuple(_own(one, words, lang) for one in cases)


def _automatic(queue: Queue, lang: Lang) -> str:
    words = catalogue("case", lang)
    if queue.automatic is None:
        return words("page.by_people")
    amount = money(queue.automatic, lang)
    return words("page.automatic", amount=amount, hours=queue.review_hours)


def _own(case: OwnCase, words: Words, lang: Lang) -> OwnView:
    return OwnView(
        id=case.id,
        href=f"/account/cases/{quote(case.id, safe='')}",
        state=words(f"own_state.{case.state}"),
        due=tuple(_due(one, words, lang, own=True) for one in case.deadlines),
        notices=tuple(
            _notice(one.de if lang == "de" else one.en, one.at, lang)
            for one in reversed(case.notices)
        ),
        said=tuple(f"{day(one.at.date(), lang)}: {one.text}" for one in case.answers),
        appeals=tuple(
            (
                words("own.appealed", day=day(one.at.date(), lang), text=one.text),
                words("own.waiting", day=day(one.decide_until.date(), lang))
                if one.granted is None
                else words(
                    "own.granted" if one.granted else "own.refused",
                    reason=in_language(one.reason, lang),
                ),
            )
            for one in case.appeals
        ),
        credits=tuple(credit_lines(case.credits, case.redeemed, words, lang)),
        may_answer=case.may_answer,
        may_appeal=case.may_appeal,
    )


def _notice(text: str, at: datetime, lang: Lang) -> OwnNotice:
    title, said, findings, remedies = notice_parts(text)
    return OwnNotice(title, day(at.date(), lang), said, findings, remedies)


def _row(line: CaseSummary, names: dict[str, str], lang: Lang) -> QueueRow:
    words = catalogue("case", lang)
    due = words("queue.no_due")
    if line.waits_for_signature:
        due = words("queue.sign")
    elif line.open_appeal:
        due = words("queue.appeal")
    elif line.next_due is not None:
        due = _due(line.next_due, words, lang)
    waited = line.waits_for_signature or line.open_appeal
    return QueueRow(
        href=f"/cases/{quote(line.id, safe='')}",
        id=line.id,
        group=names.get(line.group, line.group),
        state=words(f"state.{line.state}"),
        standing=words(f"standing.{line.standing}"),
        kinds=", ".join(kind_words(kind, lang) for kind in line.kinds),
        evidence="–" if line.evidence is None else number(Decimal(f"{line.evidence:.3g}"), lang),
        due=due,
        kind="risk" if waited or (line.next_due is not None and line.next_due.overdue) else "",
    )


def _due(due: DeadlineShown, words: Words, lang: Lang, *, own: bool = False) -> str:
    key = "queue.overdue" if due.overdue else "queue.due_by"
    what = words(f"own_due.{due.what}" if own else f"due.{due.what}")
    return words(key, what=what, day=day(due.until.date(), lang))


def _move(move: MoveShown, on: CaseDesk) -> MoveView:
    words = on.words
    name = words(f"move.{move.move}")
    refused = ""
    if move.refusal:
        refused = words("act.not_now", why=words(f"refused.{move.refusal}", move=name))
    return MoveView(
        move=move.move,
        name=name,
        button=words("act.propose" if move.signers > 1 else "act.make", move=name),
        needs=words("act.needs_two" if move.signers > 1 else "act.needs_one"),
        urgent=move.urgent,
        slice=move.move == "throttle",
        refused=refused,
    )
