"""Parts of budgets while a replica takes the place of the store and some reach the old primary."""

import random
from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_shared_budgets import MACHINES, STEPS, FakeParts, Machines

from quartermaster.app.budget_shares import Holding, Told


class Hasty(FakeParts):
    """No time has to pass: whoever has said what it holds is all that counts."""

    def restart(self) -> None:
        """Another life."""
        super().restart()
        self.silent = set()


class Failovers:
    """A primary and its replica that is promoted, while some still reach the old one.

    Args:
        made: what a server is.
        choose: what happens when.
    """

    def __init__(self, made: type[FakeParts], choose: random.Random) -> None:
        self._choose = choose
        self._servers = [made()]
        self._replica = self._servers[0]
        self._reached = dict.fromkeys(MACHINES, 0)

    def join(
        self, machine: str, known: Iterable[str], last: str = ""
    ) -> tuple[str, frozenset[str]]:
        """At the server that the machine reaches."""
        return self._of(machine).join(machine, known, last)

    def hold(self, machine: str, generation: str, said: Sequence[Holding]) -> list[Told] | None:
        """At the server that the machine reaches."""
        return self._of(machine).hold(machine, generation, said)

    def _of(self, machine: str) -> FakeParts:
        return self._servers[self._reached[machine] % len(self._servers)]

    def trouble(self) -> None:
        """The replica catches up, is promoted, or a machine reaches the other server."""
        what = self._choose.choice(("catches up", "promoted", "flips", "flips", "all flip"))
        if what == "catches up":
            self._replica = deepcopy(self._choose.choice(self._servers))
        elif what == "promoted":
            promoted = deepcopy(self._replica)
            promoted.restart()
            self._servers = [self._choose.choice(self._servers), promoted]
        elif what == "flips":
            self._reached[self._choose.choice(MACHINES)] += 1
        else:
            self._reached = dict.fromkeys(MACHINES, self._choose.randrange(2))


def failing_over(made: type[FakeParts], seed: int, amount: int, folder: Path) -> Machines:
    """Some machines, and servers of which they do not reach the same."""
    choose = random.Random(seed)
    store = Failovers(made, choose)
    world = Machines(seed, amount, store, store.trouble, folder)
    world.unreliable.loses = 0
    world.meet()
    world.unreliable.loses = 0.02
    world.forgetful = choose.choice((0.01, 0.03))
    return world


@pytest.mark.parametrize("seed", range(2))
def test_no_failover_overruns_a_budget(tmp_path: Path, seed: int) -> None:
    world = failing_over(Hasty, seed, (300, 5_000)[seed % 2], tmp_path)
    for _ in range(STEPS):
        world.step()
        assert world.overrun() <= 0


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), amount=st.sampled_from((300, 1_000, 5_000)))
def test_no_failover_overruns_a_budget_in_the_long_form(
    tmp_path_factory: pytest.TempPathFactory, seed: int, amount: int
) -> None:
    world = failing_over(Hasty, seed, amount, tmp_path_factory.getbasetemp())
    for _ in range(2 * STEPS):
        world.step()
        assert world.overrun() <= 0
