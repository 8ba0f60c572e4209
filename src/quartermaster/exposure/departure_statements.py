"""Past statements and what came of them: a file of JSON lines, read whole or not at all, scored.

One line is one statement. Nothing is edited but `outcome` and `resolved_on`, and only when the
event came or its horizon has passed: an early "it did not happen" would flatter every low figure.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import msgspec

from quartermaster.exposure.csv_rows import decode_text, read_bytes
from quartermaster.exposure.departure import HORIZON_MONTHS_MAX, Opinion
from quartermaster.exposure.evidence import day_of, months_later
from quartermaster.kernel.errors import ConflictError, DataError, UsageError
from quartermaster.stats.likelihood_scores import Scores, scores

STATEMENTS_BYTES_MAX = 64 * 1024 * 1024
"""A quarter of a million statements; a larger file is not of statements that somebody made."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who said what on which day, and whether it came."""

    stated_on: str
    subject: str
    event: str
    horizon_months: int
    probability: float
    low: float
    high: float
    source: str = ""
    """What it was made from: a file's name and hash."""
    outcome: bool | None = None
    """None while it is open."""
    resolved_on: str = ""

    @property
    def ends_on(self) -> date:
        """The day on which its horizon has passed."""
        return months_later(day_of(self.stated_on), self.horizon_months)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is a statement of; one subject and event has one statement a day."""
        return self.subject, self.event, self.stated_on, self.horizon_months


class Record(msgspec.Struct, frozen=True):
    """The record of a file of statements."""

    statements: int
    open: int
    subjects: int
    """Of the resolved statements: statements about one subject are not independent."""
    scores: Scores | None
    """None while none is resolved."""


def of_opinion(found: Opinion) -> Statement:
    """The statement that an opinion makes, with its outcome where the case has one."""
    outcome, case, stated = found.case.outcome, found.case, found.stated
    statement = Statement(
        stated_on=stated.on,
        subject=f"{case.subject} at {case.seller}" if case.seller else case.subject,
        event=case.event,
        horizon_months=case.horizon_months,
        probability=stated.probability,
        low=stated.low,
        high=stated.high,
        source=f"{found.input.name} sha256:{found.input.sha256}",
    )
    if outcome is None:
        return statement
    came = outcome.happened and day_of(outcome.on) <= statement.ends_on
    if not came and day_of(outcome.on) < statement.ends_on:
        return statement
    return msgspec.structs.replace(statement, outcome=came, resolved_on=outcome.on)


def read_statements(path: Path) -> tuple[Statement, ...]:
    """Every statement of a file.

    Raises:
        DataError: names the file and each bad line with its reason.
    """
    return parse_statements(read_bytes(path, STATEMENTS_BYTES_MAX), path.name)


def parse_statements(data: bytes, name: str) -> tuple[Statement, ...]:
    """Every statement in these bytes; blank lines are allowed.

    Raises:
        DataError: names each bad line with its reason.
    """
    found: list[Statement] = []
    bad: list[str] = []
    seen: dict[tuple[str, str, str, int], int] = {}
    for number, line in enumerate(decode_text(data, name).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            statement = msgspec.json.decode(line, type=Statement)
            _check(statement)
            before = seen.setdefault(statement.key, number)
            if before != number:
                raise UsageError(f"the same statement as line {before}")  # noqa: TRY301
        except msgspec.DecodeError as error:
            bad.append(f"line {number}: {error}")
        except UsageError as error:
            bad.append(f"line {number}: {error.message}")
        else:
            found.append(statement)
    if bad:
        listed = "".join(f"\n  {one}" for one in bad)
        count = "1 line" if len(bad) == 1 else f"{len(bad)} lines"
        raise DataError(
            f"{name}: {count} cannot be used{listed}",
            hint="each line is a JSON object, as `quartermaster departure --record` writes them",
        )
    return tuple(found)


def append_statements(path: Path, new: Iterable[Statement]) -> int:
    """Add statements to a file, made where it is absent; those already there are left alone.

    Returns:
        How many were added.

    Raises:
        ConflictError: one is there with another probability or outcome.
        DataError: the file cannot be read or written.
    """
    known = {one.key: one for one in (read_statements(path) if path.exists() else ())}
    added = []
    for statement in new:
        before = known.setdefault(statement.key, statement)
        if before is statement:
            added.append(msgspec.json.encode(statement) + b"\n")
        elif before != statement:
            raise ConflictError(
                f"{path.name} already has another statement of {statement.stated_on} about"
                f" {statement.subject}",
                hint="what was stated stays; state anew on another day",
            )
    try:
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.writelines(added)
    except OSError as error:
        raise DataError(f"{path.name} cannot be written: {error.strerror}") from error
    return len(added)


def record(statements: Sequence[Statement]) -> Record:
    """How good the resolved statements were."""
    closed = [one for one in statements if one.outcome is not None]
    subjects = Counter(one.subject for one in closed)
    return Record(
        statements=len(statements),
        open=len(statements) - len(closed),
        subjects=len(subjects),
        scores=scores(
            [one.probability for one in closed],
            [bool(one.outcome) for one in closed],
            [one.subject for one in closed],
        )
        if closed
        else None,
    )


def _check(statement: Statement) -> None:
    if not statement.subject or not statement.event:
        raise UsageError("subject and event say whom and what it is about")
    if not 1 <= statement.horizon_months <= HORIZON_MONTHS_MAX:
        raise UsageError(f"horizon_months is not between 1 and {HORIZON_MONTHS_MAX}")
    if not 0 < statement.probability < 1:
        raise UsageError("probability does not lie inside 0 to 1; certainty cannot be scored")
    if not 0 <= statement.low <= statement.probability <= statement.high <= 1:
        raise UsageError("low <= probability <= high does not hold")
    stated, ends = day_of(statement.stated_on), statement.ends_on
    if statement.outcome is None:
        if statement.resolved_on:
            raise UsageError("resolved_on without an outcome")
        return
    if not statement.resolved_on:
        raise UsageError("an outcome needs resolved_on")
    resolved = day_of(statement.resolved_on)
    if resolved <= stated:
        raise UsageError(f"resolved on {resolved}, before or when it was stated")
    if not statement.outcome and resolved < ends:
        raise UsageError(f"false before the horizon ended on {ends}")
    if statement.outcome and resolved > ends:
        raise UsageError(f"true, but resolved after the horizon ended on {ends}")
