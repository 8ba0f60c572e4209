"""Guidance: what was promised for a period, kept with the day of the promise, and what came."""

from collections.abc import Sequence

import msgspec

from quartermaster.book.views import View
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import ConflictError
from quartermaster.kernel.guidance_facts import GuidanceCame, GuidanceRecorded
from quartermaster.revenue.guidance import Actual, Figure, Guidance
from quartermaster.revenue.guidance_rows import Promise


def record(book: Book, actor: Actor, promises: Sequence[Promise], now: Instant) -> int:
    """Record promises and what came in for them; returns how many said something new.

    What came may be recorded later and corrected. A promise may not: it was made on its day.

    Raises:
        NotAllowedError: the actor may not.
        ConflictError: the same promise is recorded with other bounds; nothing is written.
    """
    require(actor, "finance", "admin")
    written = 0
    with book.writing() as unit:
        known = dict(unit.view().guidance)
        for promise in promises:
            fact = _fact(promise)
            about = fact.metric, fact.unit, fact.period, fact.basis, fact.issued_on
            before = known.get(about)
            if before is not None and fact.came is None:
                fact = msgspec.structs.replace(fact, came=before.came)
            if before == fact:
                continue
            if before is not None and _promised(before) != _promised(fact):
                raise ConflictError(
                    f"{fact.metric} {fact.period}: guidance of {fact.issued_on or 'no day'} is "
                    f"recorded as {before.low} to {before.high} of {before.source}",
                    hint="a promise is not rewritten; a new one has a day of its own",
                    field=f"line {promise.line}",
                )
            known[about] = fact
            unit.journal.append(fact, actor=actor, now=now)
            written += 1
    return written


def recorded(view: View) -> tuple[Promise, ...]:
    """Every recorded promise, by period and day of the promise."""
    facts = sorted(view.guidance.values(), key=lambda one: (one.period, one.issued_on, one.metric))
    return tuple(_promise(line, fact) for line, fact in enumerate(facts, start=1))


def _promised(fact: GuidanceRecorded) -> GuidanceRecorded:
    """Without what came."""
    return msgspec.structs.replace(fact, came=None)


def _fact(promise: Promise) -> GuidanceRecorded:
    said, came = promise.guidance, promise.actual
    return GuidanceRecorded(
        **msgspec.structs.asdict(said.figure),
        low=said.low,
        high=said.high,
        text=said.text,
        source=said.source,
        issued_on=said.issued_on,
        inferred=said.inferred,
        miss_chance=said.miss_chance,
        came=None
        if came is None
        else GuidanceCame(
            value=came.value,
            basis=came.figure.basis,
            metric_version=came.figure.metric_version,
            definition=came.figure.definition,
            source=came.source,
        ),
    )


def _promise(line: int, fact: GuidanceRecorded) -> Promise:
    fields = msgspec.structs.asdict(fact)
    of_figure = {name: fields[name] for name in Figure.__struct_fields__}
    terms = {
        name: fields[name]
        for name in ("low", "high", "text", "source", "issued_on", "inferred", "miss_chance")
    }
    guidance = Guidance(figure=msgspec.convert(of_figure, Figure), **terms)
    if fact.came is None:
        return Promise(line, guidance, None)
    came = msgspec.structs.asdict(fact.came)
    changed = {name: came[name] for name in ("basis", "metric_version", "definition")}
    figure = msgspec.convert(of_figure | changed, Figure)
    actual = Actual(figure=figure, value=fact.came.value, source=fact.came.source)
    return Promise(line, guidance, actual)
