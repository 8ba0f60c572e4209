"""Parts of budgets that this machine holds, of budgets that several machines share.

The clerk's budget office asks for more, gives back, and says what was spent, by way of a store
that all machines reach. The store may be gone, slow, or empty at any time: then nothing grows, what
is held may be spent, and when it is back every machine says again what it holds, before any part
grows.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from quartermaster.billing.leases import LeaseLedger, Name
from quartermaster.billing.parts import Part, elsewhere, next_part
from quartermaster.kernel.errors import UnavailableError

TRIES = 4
"""A part beside which somebody else's was changed is decided on again; a busy budget waits a
look."""


PROBE = -1
"""A version that no budget has: what is said with it is not written, and all parts are told."""


class Holding(msgspec.Struct, frozen=True):
    """What this machine wants to say of one budget."""

    name: Name
    seen: int
    """The version of what it knows of the others, or `PROBE`."""
    part: Part
    grows: bool
    forget_at: int
    """Microseconds UTC after which nobody asks for it; 0 is never."""


class Told(msgspec.Struct, frozen=True):
    """What the store says to one of these."""

    outcome: Literal["held", "stale", "waits"]
    version: int = 0
    parts: dict[str, Part] = {}
    """Of every machine, where the view was old."""
    missing: tuple[str, ...] = ()
    """Machines that have not said what they hold; an empty name is time that has to pass."""


class PartStore(Protocol):
    """Where machines meet. Everything raises `UnavailableError` where it cannot be reached."""

    def join(
        self, machine: str, known: Iterable[str], last: str = ""
    ) -> tuple[str, frozenset[str]]:
        """Be there, with all machines that are known; the data's generation, and all machines.

        Data that does not know the generation with which this machine was last begins a new one.
        """

    def hold(self, machine: str, generation: str, said: Sequence[Holding]) -> list[Told] | None:
        """Say what is held; None where the generation is another one."""


class _View:
    """What is known of one budget."""

    __slots__ = ("generation", "parts", "said", "version", "waits")

    def __init__(self) -> None:
        self.waits = False
        self.version = 0
        self.parts: dict[str, Part] = {}
        self.said: Part | None = None
        self.generation = ""


class BudgetShares:
    """This machine among others.

    Args:
        machine: its name, among all machines that ever were.
        store: where they meet.
        roster: the file in which it remembers who else there is.
    """

    def __init__(self, machine: str, store: PartStore, roster: Path) -> None:
        self._machine = machine
        self._store = store
        self._path = roster
        self._roster = read_roster(roster)
        self._generation = ""
        self._held: dict[Name, int] = {}
        self._views: dict[Name, _View] = {}
        self._unmet: set[Name] = set()
        """Budgets of which more is wanted than there was."""
        self.missing: tuple[str, ...] = ()
        """Machines for whom growing waits; an empty name is time that has to pass."""

    def held(self, name: Name) -> int:
        """Our part of a budget."""
        return self._held.get(name, 0)

    def meet(self) -> None:
        """Hear who is there, and whether the store is still the one that it was.

        Raises:
            UnavailableError: it cannot be reached.
        """
        # A machine that was released must not come back because we remember it.
        before = self._roster
        known = () if self._generation else before.machines
        generation, machines = self._store.join(self._machine, known, before.generation)
        if generation != self._generation and self._generation:
            # Its data is another: whoever we know of must be heard again.
            generation, machines = self._store.join(self._machine, before.machines, generation)
        roster = Roster(tuple(sorted(machines)), generation)
        if roster != before:
            write_roster(self._path, roster)
            self._roster = roster
        if generation != self._generation:
            # Versions of other data say nothing of these.
            for view in self._views.values():
                view.version, view.parts = 0, {}
        self._generation = generation

    def look(
        self,
        ledger: LeaseLedger,
        amounts: Mapping[Name, int],
        forget_at: Mapping[Name, int],
        *,
        tell: bool,
    ) -> None:
        """Ask, give back, and say what was spent; the ledger knows its parts afterwards.

        Args:
            ledger: who asks of us, and what we settled.
            amounts: all budgets whose spending is known, in nanos.
            forget_at: until when each may be asked for, microseconds UTC; 0 is for ever.
            tell: also say what was only spent since.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        if not self._generation:
            self.meet()
        for name in self._views.keys() - amounts.keys():
            del self._views[name]
            self._held.pop(name, None)
            self._unmet.discard(name)
        unsaid = [
            name
            for name in amounts
            if name not in self._views or self._views[name].generation != self._generation
        ]
        news = {*ledger.touched(), *unsaid, *self._unmet}
        asked = set(amounts) if tell else news & amounts.keys()
        missing: set[str] = set()
        for turn in range(TRIES):
            said = [
                holding
                for name in sorted(asked)
                if (
                    holding := self._decide(
                        name, ledger, amounts[name], forget_at[name], tell=tell and not turn
                    )
                )
            ]
            told = self._say(said)
            if told is None:
                self._generation = ""
                return
            asked = set()
            for holding, answer in zip(said, told, strict=True):
                if self._hear(holding, answer):
                    asked.add(holding.name)
                missing.update(answer.missing)
                others = elsewhere(self._views[holding.name].parts, self._machine)
                ledger.share(holding.name, self.held(holding.name), others)
            if not asked:
                break
        if tell or missing:
            self.missing = tuple(sorted(missing))

    def _say(self, said: Sequence[Holding]) -> list[Told] | None:
        if not said:
            return []
        try:
            return self._store.hold(self._machine, self._generation, said)
        except UnavailableError:
            # Whether it was heard is not known: it is said again.
            for holding in said:
                self._views[holding.name].said = None
                self._unmet.add(holding.name)
            raise

    def _decide(
        self, name: Name, ledger: LeaseLedger, amount: int, forget_at: int, *, tell: bool
    ) -> Holding | None:
        view = self._views.setdefault(name, _View())
        wish = ledger.wish(name)
        held = self.held(name)
        # What others hold is known when we have said what we do.
        known = view.generation == self._generation
        others = elsewhere(view.parts, self._machine)
        part = next_part(held, wish, others, amount, may_grow=known and not view.waits)
        view.waits = False
        if part < wish.goal:
            self._unmet.add(name)
        else:
            self._unmet.discard(name)
        grows = part > max(held, wish.liable)
        if not grows:
            # From now on, whether or not the answer is heard: what is given back is leased no more.
            self._held[name] = part
            ledger.share(name, part, others)
        saying = Part(part, wish.settled, wish.used)
        said = view.said
        if known and said is not None and said.held == part and (not tell or said == saying):
            return Holding(name, PROBE, saying, False, 0) if tell else None
        return Holding(name, view.version, saying, grows, forget_at)

    def _hear(self, holding: Holding, told: Told) -> bool:
        """Take an answer; whether to decide again."""
        view = self._views[holding.name]
        if told.outcome == "held":
            first = view.generation != self._generation
            self._held[holding.name] = holding.part.held
            view.version, view.said, view.generation = told.version, holding.part, self._generation
            return first
        if told.outcome == "stale":
            view.version, view.parts = told.version, told.parts
            return holding.seen != PROBE
        view.waits = True
        return True


class Roster(msgspec.Struct, frozen=True):
    """What a machine remembers of the store over a restart."""

    machines: tuple[str, ...] = ()
    """Every machine that shares budgets with this one."""
    generation: str = ""
    """Of the store's data, as it was last. A primary that was given up, and is reached again, does
    not know it: what its data says that others hold may be less than they do."""


def read_roster(path: Path) -> Roster:
    """What this machine remembers."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Roster)
    except FileNotFoundError:
        return Roster()


def write_roster(path: Path, roster: Roster) -> None:
    """Remember it, also after a power loss."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(roster))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
