"""Feature facts of an account-day: what the watcher stores of it, and how days are read back.

A day's sample is the requests with the smallest priorities; each is a fingerprint without text, and
some keyed hashes of words answered, by which an answer that turns up elsewhere can be known again.
Files of several watchers are put together by the same rule. Token counts are not here: the meter
counts every request, this only those that were read.
"""

import heapq
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.conduct.observe import FIELDS, MARKS, VECTOR_SIZE, Observer
from quartermaster.conduct.records import Request
from quartermaster.conduct.sketch import (
    SAMPLE,
    TRACES,
    MeterTotals,
    Sample,
    empty,
    hashed_name,
    settings_of,
)
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.tapped import Tally

log = logging.getLogger(__name__)

EDGES = 3
"""Hashes of a request's beginning, middle and end; see `conduct.observe`."""
VERSION = 1
"""Of the files; of another version they are left out, as if the text had not been seen."""
KEEP_DAYS = 31
"""Four weeks of history, the day itself, and two days in which a clerk may be late."""
SUFFIX = ".msgpack"
DAMAGED = ".damaged"
"""Behind the name of a file that was laid aside because it cannot be read."""


class Tallied(msgspec.Struct, frozen=True, array_like=True):
    """How many requests gateways saw, drew, left unread for want of time, and lost."""

    seen: int = 0
    drawn: int = 0
    capped: int = 0
    overwritten: int = 0

    def plus(self, other: "Tallied") -> "Tallied":
        """Both together."""
        return Tallied(
            self.seen + other.seen,
            self.drawn + other.drawn,
            self.capped + other.capped,
            self.overwritten + other.overwritten,
        )


class DayFile(msgspec.Struct, kw_only=True):
    """One watcher's facts of one account-day, as they are stored."""

    v: int = VERSION
    fields: tuple[str, ...] = FIELDS
    account: str
    day: str
    priorities: bytes = b""
    facts: bytes = b""
    vectors: bytes = b""
    marks: bytes = b""
    edges: bytes = b""
    answer_words: bytes = b""
    answer_marks: bytes = b""
    requests: tuple[str, ...] = ()
    """Their ids, by which the meter knows what was answered."""
    end_users: tuple[int, ...] = ()
    many_answers: int = 0
    logprobs: int = 0
    with_end_user: int = 0
    unreadable: int = 0
    """Tapped requests without any text that could be read."""
    networks: tuple[int, ...] = ()
    """Keyed hashes of the networks that requests which were read came from."""
    clients: tuple[int, ...] = ()
    """The same of the programs that sent them."""
    settings: tuple[int, ...] = ()
    """The same of their temperature, token limit and number of answers together."""
    tallies: dict[str, Tallied] = {}
    """By life of a gateway worker; of each the last one counts."""


class Answers(NamedTuple):
    """What is kept of the answers of a sample, row by row."""

    words: npt.NDArray[np.uint16]
    """In the beginning that was read."""
    marks: npt.NDArray[np.uint32]


class Facts(NamedTuple):
    """An account-day as it is read back."""

    account: str
    day: str
    sample: Sample
    answers: Answers
    requests: tuple[str, ...]
    end_users: frozenset[int]
    networks: frozenset[int]
    clients: frozenset[int]
    settings: frozenset[int]
    many_answers: int
    logprobs: int
    with_end_user: int
    unreadable: int
    tally: Tallied


class WatchedDay:
    """An account's day while it is being watched.

    Args:
        account: whose.
        day: `2026-11-23`.
        observer: reads requests.
        key: the deployment's, for what is kept of end users.
    """

    def __init__(self, account: str, day: str, observer: Observer, key: bytes) -> None:
        self.account, self.day = account, day
        self.changed = False
        self._observer, self._key = observer, key
        self._kept = empty(SAMPLE)
        self._answers = Answers(np.zeros(SAMPLE, np.uint16), np.zeros((SAMPLE, MARKS), np.uint32))
        self._requests = [""] * SAMPLE
        self._heap: list[tuple[float, int]] = []
        self._end_users: set[int] = set()
        self._networks: set[int] = set()
        self._clients: set[int] = set()
        self._settings: set[int] = set()
        self._counts = [0, 0, 0, 0]
        self._tallies: dict[str, Tallied] = {}

    def add(self, request_id: str, priority: float, request: Request | None, answer: str) -> None:
        """Read a request, if its priority is among the smallest.

        Args:
            request_id: its id in the usage table.
            priority: of the tap.
            request: what was asked; None where nothing of it could be read.
            answer: the beginning of the answer.
        """
        self.changed = True
        if request is None:
            self._counts[3] += 1
            return
        full = len(self._heap) == SAMPLE
        if full and priority >= -self._heap[0][0]:
            return
        slot = self._heap[0][1] if full else len(self._heap)
        (heapq.heapreplace if full else heapq.heappush)(self._heap, (-priority, slot))
        print_ = self._observer.observe(request)
        kept = self._kept
        kept.facts[slot], kept.vectors[slot] = print_.facts, print_.vector
        kept.marks[slot], kept.edges[slot] = print_.marks, print_.edges
        self._requests[slot] = request_id
        words, marks = self._observer.answered(answer)
        self._answers.words[slot], self._answers.marks[slot] = words, marks
        self._meter(request)

    def tell(self, worker: str, tally: Tally) -> None:
        """Take what a worker says of the day so far."""
        self.changed = True
        self._tallies[worker] = Tallied(tally.seen, tally.drawn, tally.capped, tally.overwritten)

    def file(self) -> DayFile:
        """What is stored."""
        count = len(self._heap)
        priorities = np.zeros(count)
        for negative, slot in self._heap:
            priorities[slot] = -negative
        many, logprobs, with_end_user, unreadable = self._counts
        return DayFile(
            account=self.account,
            day=self.day,
            priorities=priorities.tobytes(),
            facts=self._kept.facts[:count].tobytes(),
            vectors=self._kept.vectors[:count].tobytes(),
            marks=self._kept.marks[:count].tobytes(),
            edges=self._kept.edges[:count].tobytes(),
            answer_words=self._answers.words[:count].tobytes(),
            answer_marks=self._answers.marks[:count].tobytes(),
            requests=tuple(self._requests[:count]),
            end_users=tuple(sorted(self._end_users)),
            networks=tuple(sorted(self._networks)),
            clients=tuple(sorted(self._clients)),
            settings=tuple(sorted(self._settings)),
            many_answers=many,
            logprobs=logprobs,
            with_end_user=with_end_user,
            unreadable=unreadable,
            tallies=dict(self._tallies),
        )

    def resume(self, stored: DayFile) -> None:
        """Go on where an earlier watcher ended."""
        sample, answers = _sample(stored), _answers(stored)
        count = len(sample)
        kept = self._kept
        kept.facts[:count], kept.vectors[:count] = sample.facts, sample.vectors
        kept.marks[:count], kept.edges[:count] = sample.marks, sample.edges
        self._answers.words[:count], self._answers.marks[:count] = answers
        self._requests[:count] = stored.requests
        priorities = np.frombuffer(stored.priorities).tolist()
        self._heap = [(-priority, slot) for slot, priority in enumerate(priorities)]
        heapq.heapify(self._heap)
        self._end_users = set(stored.end_users)
        self._networks, self._clients = set(stored.networks), set(stored.clients)
        self._settings = set(stored.settings)
        self._counts = [
            stored.many_answers,
            stored.logprobs,
            stored.with_end_user,
            stored.unreadable,
        ]
        self._tallies = dict(stored.tallies)

    def _meter(self, request: Request) -> None:
        meter = request.meter
        if meter is None:
            return
        self._counts[0] += (meter.n or 1) > 1
        self._counts[1] += bool(meter.logprobs)
        self._counts[2] += meter.end_user is not None
        for seen, name in (
            (self._end_users, meter.end_user),
            (self._networks, meter.network),
            (self._clients, meter.client),
            (self._settings, settings_of(meter)),
        ):
            if name is not None and len(seen) < TRACES:
                seen.add(hashed_name(name, self._key))


def path_of(folder: Path, day: str, watcher: str, account: str) -> Path:
    """Where a watcher keeps an account-day."""
    return folder / day / f"{account}@{watcher}{SUFFIX}"


def save(folder: Path, watcher: str, day: WatchedDay) -> None:
    """Store a day in place of what was stored of it."""
    path = path_of(folder, day.day, watcher, day.account)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(msgspec.msgpack.encode(day.file()))
    beside.replace(path)
    day.changed = False


def load(path: Path) -> DayFile | None:
    """A stored day; None where there is none, or one of another version.

    A damaged one is laid aside beside it, where `laid_aside` counts it until the day is forgotten:
    one file must not keep all other accounts from being judged, nor old days from being forgotten.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        return None
    except IntegrityError as error:
        log.warning("%s; it is laid aside, and what it held is not judged", error.message)
        lay_aside(path)
        return None


def lay_aside(path: Path) -> None:
    """Take a damaged file out of the way, and keep it for whoever looks into it."""
    path.replace(path.with_name(f"{path.name}{DAMAGED}"))


def laid_aside(folder: Path, day: str) -> Counter[str]:
    """How many files of a day were damaged, by account; a file of no account by its own name."""
    found = (path.name.removesuffix(DAMAGED) for path in (folder / day).glob(f"*{DAMAGED}"))
    return Counter(name.partition("@")[0] for name in found)


def _load(path: Path) -> DayFile | None:
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=DayFile)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    if stored.v != VERSION or stored.fields != FIELDS:
        return None
    rows = len(stored.priorities) // 8
    sizes = {
        "requests": (len(stored.requests), 1),
        "facts": (len(stored.facts), 2 * len(FIELDS)),
        "vectors": (len(stored.vectors), VECTOR_SIZE),
        "marks": (len(stored.marks), 4 * MARKS),
        "edges": (len(stored.edges), 4 * EDGES),
        "answer_words": (len(stored.answer_words), 2),
        "answer_marks": (len(stored.answer_marks), 4 * MARKS),
    }
    wrong = [name for name, (size, each) in sizes.items() if size != rows * each]
    if wrong or len(stored.priorities) % 8 or rows > SAMPLE:
        raise IntegrityError(f"{path} holds parts of wrong lengths: {', '.join(wrong)}")
    return stored


def files_of(folder: Path, day: str) -> dict[str, list[Path]]:
    """The files that watchers kept of a day, by account: one look at the folder for all of them."""
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / day).glob(f"*@*{SUFFIX}")):
        found.setdefault(path.name.partition("@")[0], []).append(path)
    return found


def read_files(paths: Iterable[Path]) -> Facts | None:
    """What all watchers kept of an account-day, or None where it is nothing that can be read."""
    return together([one for one in map(load, paths) if one is not None])


def read_day(folder: Path, day: str, account: str) -> Facts | None:
    """As `read_files`, of one account; whoever reads many looks at the folder once."""
    return read_files(files_of(folder, day).get(account, ()))


def together(stored: Iterable[DayFile]) -> Facts | None:
    """Parts of an account-day as one: the smallest priorities of all of them."""
    parts = list(stored)
    if not parts:
        return None
    priorities = np.concatenate([np.frombuffer(one.priorities) for one in parts])
    order = np.argsort(priorities, kind="stable")[:SAMPLE]
    columns = zip(*((*_sample(one), *_answers(one)) for one in parts), strict=True)
    rows = [np.concatenate(column)[order] for column in columns]
    names = [name for one in parts for name in one.requests]
    tally = Tallied()
    for one in parts:
        for part in one.tallies.values():
            tally = tally.plus(part)
    return Facts(
        parts[0].account,
        parts[0].day,
        Sample(*rows[:4]),
        Answers(*rows[4:]),
        tuple(names[at] for at in order),
        frozenset().union(*(one.end_users for one in parts)),
        frozenset().union(*(one.networks for one in parts)),
        frozenset().union(*(one.clients for one in parts)),
        frozenset().union(*(one.settings for one in parts)),
        sum(one.many_answers for one in parts),
        sum(one.logprobs for one in parts),
        sum(one.with_end_user for one in parts),
        sum(one.unreadable for one in parts),
        tally,
    )


def forget_before(folder: Path, day: date) -> list[str]:
    """Delete days that are older than they are kept; returns which."""
    oldest = (day - timedelta(days=KEEP_DAYS)).isoformat()
    gone = [one for one in sorted(folder.glob("????-??-??")) if one.name < oldest]
    for one in gone:
        shutil.rmtree(one)
    return [one.name for one in gone]


def read_counts(facts: Facts, totals: MeterTotals) -> MeterTotals:
    """The meter's totals with what only the requests that were read say."""
    turns = facts.sample.facts[:, FIELDS.index("turns")]
    return totals._replace(
        many_answers=facts.many_answers,
        logprobs=facts.logprobs,
        with_end_user=facts.with_end_user,
        with_turns=int((turns > 1).sum()),
    )


def _sample(stored: DayFile) -> Sample:
    return Sample(
        np.frombuffer(stored.facts, np.float16).reshape(-1, len(FIELDS)),
        np.frombuffer(stored.vectors, np.int8).reshape(-1, VECTOR_SIZE),
        np.frombuffer(stored.marks, np.uint32).reshape(-1, MARKS),
        np.frombuffer(stored.edges, np.uint32).reshape(-1, EDGES),
    )


def _answers(stored: DayFile) -> Answers:
    words = np.frombuffer(stored.answer_words, np.uint16)
    return Answers(words, np.frombuffer(stored.answer_marks, np.uint32).reshape(-1, MARKS))
