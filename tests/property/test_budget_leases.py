"""Leases under arbitrary interleavings: nothing is spent twice, whoever dies when."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.lease_world import EPOCHS, World

from quartermaster.billing.leases import LeaseLedger
from quartermaster.kernel.lease import Ask

STEPS = 1_200


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), amount=st.sampled_from((0, 90, 1_000, 5_000)))
def test_no_interleaving_overruns_a_budget(seed: int, amount: int) -> None:
    world = World(seed, amount)
    for _ in range(STEPS):
        world.step()
        assert world.overrun() <= 0


@pytest.mark.long
@settings(max_examples=2_000, deadline=None)
@given(seed=st.integers(0, 2**32), amount=st.sampled_from((300, 1_000, 5_000)))
def test_no_interleaving_overruns_a_budget_in_the_long_form(seed: int, amount: int) -> None:
    world = World(seed, amount)
    for _ in range(STEPS):
        world.step()
        assert world.overrun() <= 0


def test_a_budget_can_be_spent_nearly_to_its_end() -> None:
    world = World(1, 5_000, quiet=True)
    for _ in range(6 * STEPS):
        world.step()
        world.now = 0
    assert 0.9 * world.amount < world.charged(EPOCHS[0].id) <= world.amount


class ReturnsBeforeReplay(LeaseLedger):
    """Planted: a dead worker's lease is returned when its successor asks."""

    def _forget_replayed(self, app_id: str) -> None:
        del self._tenures[app_id][:-1]


class ForgetsWhatWasGranted(LeaseLedger):
    """Planted: after a restart the grantor believes the table alone."""

    def restore(self, *args: object) -> None:
        """Nothing is known again."""


class SettlesTwice(LeaseLedger):
    """Planted: shipped spending is taken off a lease of any life of the worker."""

    def _shipped(self, one: object) -> None:
        for tenure in self._tenures.get(one.app_id, ()):  # type: ignore[attr-defined]
            claim = tenure.claims.get(one.name)  # type: ignore[attr-defined]
            if claim is not None:
                claim.shipped += one.picos  # type: ignore[attr-defined]


class TakesOldAsks(LeaseLedger):
    """Planted: an ask that was answered lowers the limit again."""

    def ask(self, app_id: str, ask: Ask) -> None:
        """As if every ask were new."""
        for tenure in self._tenures.get(app_id, ())[-1:]:
            tenure.answers = min(tenure.answers, ask.number - 1)
        super().ask(app_id, ask)


@pytest.mark.parametrize(
    "ledger",
    [
        ReturnsBeforeReplay,
        TakesOldAsks,
        pytest.param(ForgetsWhatWasGranted, marks=pytest.mark.long),
        pytest.param(SettlesTwice, marks=pytest.mark.long),
    ],
)
def test_planted_bugs_are_found(ledger: type[LeaseLedger]) -> None:
    for seed in range(300):
        world = World(seed, 300, ledger)
        for _ in range(STEPS):
            world.step()
            if world.overrun() > 0:
                return
    raise AssertionError("no interleaving showed the bug")
