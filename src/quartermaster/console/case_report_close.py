"""The end of a case file: what speaks against the finding, what would change it, steps, hashes."""

from quartermaster.conduct.cases_shown import StepShown
from quartermaster.console.board_parts import Line, Section, Table
from quartermaster.console.case_words import CaseDesk, credit_lines, notice_parts
from quartermaster.console.format import money
from quartermaster.kernel import case as facts
from quartermaster.kernel.money import Money

BLIND_KEYS = (
    "no_consent", "no_text", "past_short", "few_ordinary", "output_ratio", "capped", "overwritten",
    "unreadable", "damaged", "past_damaged", "meter", "text", "public_corpora",
)  # fmt: skip
"""Codes of the daily analysis, and what sketches say; other words stand as they are."""


def sections(on: CaseDesk) -> list[Section]:
    """Counter-evidence, what would change the verdict, what happened, what was told."""
    return [_against(on), _change(on), _steps(on), *_notices(on)]


def closing(on: CaseDesk, digest: str) -> tuple[Section, ...]:
    """Sources and hashes."""
    words, file = on.words, on.file
    evidence = file.case.evidence
    lines = [Line((str(one.seq), on.moment(one.at), one.sha256)) for one in file.entries]
    items = [words("chain.file", sha256=digest)]
    if evidence.source:
        items.append(
            words("chain.source", name=evidence.source, sha256=evidence.source_sha256)
            if evidence.source_sha256
            else words("chain.daily")
        )
    if file.head_seq:
        items.append(words("chain.head", seq=file.head_seq, sha256=file.head_sha256))
    head = (words("chain.seq"), words("chain.at"), words("chain.sha256"))
    return (
        Section(
            id="chain",
            title=words("chain.title"),
            lead=(words("chain.lead"),),
            table=Table(head=head, lines=tuple(lines), words_from=1) if lines else None,
            items=tuple(items),
        ),
    )


def blind_words(code: str, on: CaseDesk) -> str:
    """Something that could not be seen, in words."""
    name, _, rest = code.partition(":")
    key = name.replace(" ", "_")
    if key not in BLIND_KEYS:
        return code
    # A sketch says a sentence; of it the figure in front is what the words need.
    figure = rest.split()[0] if rest.split() else ""
    if on.lang == "de":
        figure = figure.replace(".", ",").replace("%", "\N{NO-BREAK SPACE}%")
    return on.words(f"blind.{key}", figure=figure)


def _against(on: CaseDesk) -> Section:
    words, case = on.words, on.file.case
    items = [
        words("against.explained", kind=on.kind(one.kind))
        for one in case.evidence.findings
        if one.status == "explained"
    ]
    items += [
        words("against.observe_only", kind=on.kind(one.kind))
        for one in case.evidence.findings
        if one.observe_only
    ]
    days = case.evidence.days
    quiet = sum(not one.over_line for one in days)
    if days:
        items.append(words("against.quiet", quiet=quiet, days=len(days)))
    if case.evidence.neighbours:
        items.append(words("against.neighbours", count=len(case.evidence.neighbours)))
    items += [
        words("against.said", text=step.event.text)
        for step in case.steps
        if isinstance(step.event, facts.Answered | facts.Appealed)
    ]
    blind = [words("against.blind", what=blind_words(one, on)) for one in case.evidence.blind]
    return Section(
        id="against",
        title=words("against.title"),
        lead=(words("against.lead" if items or blind else "against.nothing"),),
        items=(*items, *blind),
    )


def _change(on: CaseDesk) -> Section:
    words, case = on.words, on.file.case
    items = []
    for kind, uses in on.file.explained_by.items():
        said = words.join([words(f"use.{use}") for use in uses], "or")
        items.append(words("change.use", kind=on.kind(kind), uses=said))
    cost = case.cost
    if cost is not None and cost.stake.probability is not None:
        suspend = cost.of("suspend")
        if suspend is not None:
            key = "change.less_likely" if suspend.acts else "change.likelier"
            items.append(words(key, threshold=on.percent(suspend.threshold)))
    values = [one.evidence for one in case.evidence.days if one.evidence is not None]
    if values and case.evidence.alpha:
        over = values[-1] * case.evidence.alpha
        key = "change.evidence_over" if over >= 1 else "change.evidence_under"
        items.append(words(key, factor=on.figures(over if over >= 1 else 1 / max(over, 1e-9))))
    items.append(words("change.new_alarm"))
    return Section(id="change", title=words("change.title"), items=tuple(items))


def _steps(on: CaseDesk) -> Section:
    words, addressed = on.words, on.file.addressee
    lines = [
        Line(
            (
                on.moment(step.at),
                words("steps.line", who=on.person(step.actor), what=event_words(step, on)),
                str(step.journal_seq) if step.journal_seq else "–",
            )
        )
        for step in on.file.case.steps
    ]
    head = tuple(words(f"steps.{key}") for key in ("at", "what", "journal"))
    return Section(
        id="steps",
        title=words("steps.title"),
        lead=(
            *((words("steps.addressed", customer=addressed),) if addressed else ()),
            *credit_lines(on.file.case.credits, on.file.case.redeemed, words, on.lang),
        ),
        table=Table(head=head, lines=tuple(lines), words_from=1),
    )


def event_words(step: StepShown, on: CaseDesk) -> str:
    """A step in a sentence."""
    event, words = step.event, on.words
    match event:
        case facts.CaseOpened():
            return words("event.opened", reason=on.reason(event.reason))
        case facts.EvidenceAdded():
            return words("event.evidence", reason=on.reason(event.reason))
        case facts.Noted():
            return words("event.noted", text=event.text)
        case facts.Proposed():
            asked = event.asked
            move = words(f"move.{asked.move}")
            return words("event.proposed", move=move, reason=on.reason(asked.reason))
        case facts.Withdrawn():
            return words("event.withdrawn", reason=on.reason(event.reason))
        case facts.Moved():
            return _moved(event, on)
        case facts.Answered():
            return words("event.answered", text=event.text)
        case facts.Appealed():
            return words("event.appealed", text=event.text)
        case facts.AppealDecided():
            key = "event.granted" if event.granted else "event.refused"
            return words(key, reason=on.reason(event.reason))
        case facts.FileMade():
            return words("event.file", sha256=event.sha256[:12])


def _moved(event: facts.Moved, on: CaseDesk) -> str:
    words, asked = on.words, event.asked
    said = words("event.moved", move=words(f"move.{asked.move}"), reason=on.reason(asked.reason))
    if event.proposed_by:
        said = words("event.signed", said=said, first=on.person(event.proposed_by))
    if event.automatic:
        said = words("event.automatic", said=said)
    amounts = [money(Money(one.minor, one.currency), on.lang) for one in event.credits]
    return words("event.credited", said=said, amount=", ".join(amounts)) if amounts else said


def _notices(on: CaseDesk) -> list[Section]:
    """Each notice word for word, under its own first line."""
    found = []
    for step in on.file.case.steps:
        event = step.event
        if not isinstance(event, facts.Moved) or event.notice is None:
            continue
        text = event.notice.de if on.lang == "de" else event.notice.en
        title, said, findings, remedies = notice_parts(text)
        found.append(
            Section(
                id=f"notice-{step.number}",
                title=on.words("notices.title", title=title, at=on.moment(step.at)),
                lead=said,
                items=findings,
                notes=remedies,
            )
        )
    return found
