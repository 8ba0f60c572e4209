"""Cases as lines of text."""

from collections.abc import Iterator
from datetime import datetime

from quartermaster.conduct.cases_shown import CaseShown, CaseSummary
from quartermaster.conduct.cases_step import REFUSALS
from quartermaster.conduct.expected_cost import ExpectedCost
from quartermaster.conduct.extent import ClusterExtent, StatementCheck
from quartermaster.conduct.notice import kind_words
from quartermaster.kernel import case as facts
from quartermaster.kernel.money import Money, exponent


def queue_line(line: CaseSummary) -> str:
    """One case in one line."""
    marks = [line.state, f"group {line.group} is {line.standing}"]
    if line.waits_for_signature:
        marks.append("waits for a signature")
    if line.open_appeal:
        marks.append("appeal open")
    if line.next_due is not None:
        over = "was due" if line.next_due.overdue else "due"
        marks.append(f"{line.next_due.what} {over} {_day(line.next_due.until)}")
    if line.sample:
        marks.append("SAMPLE")
    return f"{line.id}  {'  '.join(marks)}"


def case_lines(case: CaseShown) -> Iterator[str]:
    """A case as a page of text."""
    yield queue_line(case.summary)
    yield f"opened {_day(case.summary.opened_at)} by {case.opened_by}: {case.reason}"
    for finding in case.evidence.findings:
        only = ", observation only" if finding.observe_only else ""
        source = f": {finding.source}" if finding.source else ""
        whose = f" of {finding.account}" if finding.account else ""
        yield (
            f"  finding {kind_words(finding.kind, 'en')}{whose} ({finding.share:.0%},"
            f" {finding.status}{only}){source}"
        )
    if case.summary.evidence is not None:
        yield f"  evidence {case.summary.evidence:.3g}"
    for found in case.extent:
        yield from _extent(found)
    for said in case.statements:
        yield f"  {_statement(said)}"
    if case.cost is not None:
        yield from _cost(case.cost)
    if case.pending is not None:
        void = ", void" if case.pending.void else f", until {_day(case.pending.until)}"
        asked, by = case.pending.asked.move, case.pending.by
        yield f"  proposal {case.pending.number} waits for a second person: {asked} ({by}{void})"
    for due in case.deadlines:
        yield f"  {due.what} due {_day(due.until)}{', overdue' if due.overdue else ''}"
    for move in case.moves:
        needs = "one signature" if move.signers == 1 else "two signatures"
        urgent = ", urgent" if move.urgent else ""
        yield f"  may {move.move} ({needs}{urgent})" + (
            f", but not now: {_refused(move.refusal)}" if move.refusal else ""
        )
    for step in case.steps:
        words = _event(step.event)
        yield f"  {step.number}. {_day(step.at)} {step.actor} {words} (journal {step.journal_seq})"


def _extent(found: ClusterExtent) -> Iterator[str]:
    yield f"  extent of {found.cluster}: {found.hits} of {found.read} requests read"
    for measure in found.measures:
        name, scale = measure.name, 1
        if name == "minor":
            name, scale = found.currency, 10 ** exponent(found.currency)
        point, low, high = (
            value / scale
            for value in (measure.amount.point, measure.amount.low, measure.amount.high)
        )
        digits = ",.2f" if scale > 1 else ",.0f"
        yield (
            f"    {name} {point:{digits}} ({low:{digits}} to {high:{digits}}),"
            f" {measure.share.point:.1%} ({measure.share.low:.1%} to {measure.share.high:.1%})"
        )


def _statement(said: StatementCheck) -> str:
    who = said.statement.said_by
    text = f'{who} said "{said.statement.text}"'
    share = f"{said.share.low:.1%} to {said.share.high:.1%} of {said.measure}"
    if said.verdict == "no_number":
        return f"{text}: no number; it would have to mean {share}"
    return f"{text}: {said.verdict} by {share}"


def _cost(cost: ExpectedCost) -> Iterator[str]:
    stake = cost.stake
    chance = "unknown" if stake.probability is None else f"{stake.probability:.3f}"
    yield f"  P of a harvest {chance} ({stake.probability_origin or 'nobody said'})"
    others = ", ".join(one.currency for one in cost.elsewhere)
    if others:
        yield (
            f"  amounts in {stake.currency}; {others} beside it, never added: a step pays where it"
            " pays in each"
        )
    for move in cost.moves:
        unknown = "hangs on rates" if others and stake.probability is not None else "unknown"
        acts = {True: "pays", False: "does not pay", None: unknown}[move.acts]
        yield (
            f"    {move.move}: C {Money(move.wrong_minor, stake.currency)},"
            f" D {Money(move.averted_minor, stake.currency)}, P* {move.threshold:.3f}: {acts}"
        )


def _event(event: facts.CaseEvent) -> str:
    match event:
        case facts.CaseOpened():
            return "opened the case"
        case facts.EvidenceAdded():
            return "added evidence"
        case facts.Noted():
            return f"noted: {event.text}"
        case facts.Proposed():
            return f"proposed to {event.asked.move}: {event.asked.reason}"
        case facts.Withdrawn():
            return f"withdrew the proposal: {event.reason}"
        case facts.Moved():
            return f"{event.asked.move}: {event.asked.reason}"
        case facts.Answered():
            return f"answered: {event.text}"
        case facts.Appealed():
            return f"appealed: {event.text}"
        case facts.AppealDecided():
            return f"{'granted' if event.granted else 'refused'} the appeal: {event.reason}"
        case facts.FileMade():
            return f"made a case file {event.sha256[:12]}"


def _refused(code: str) -> str:
    return REFUSALS[code][0] if code in REFUSALS else "it does not follow"


def _day(at: datetime) -> str:
    return at.date().isoformat()
