"""What a customer owes who hung up, and what is kept beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.gateway.cancelled import heard_out_s, settle
from quartermaster.gateway.meter import Metered
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.units import Counts

HEARD = Metered(Counts(input=50, cached_read=7, output=90, reasoning=10), "upstream")


def test_who_pays_in_full_pays_what_the_server_counted() -> None:
    assert settle("bill_full", HEARD, 3, 30) == (HEARD, None)


@pytest.mark.parametrize("policy", ["bill_delivered", "free"])
def test_who_pays_what_was_delivered_pays_that_part_and_the_rest_is_kept(
    policy: CancelledStream,
) -> None:
    owed, upstream = settle(policy, HEARD, 15, 30)
    # Half of a hundred tokens; the ten of reasoning came first.
    assert owed == Metered(Counts(input=50, cached_read=7, output=40, reasoning=10), "estimated")
    assert upstream == HEARD.counts


def test_who_saw_nothing_owes_the_input_alone() -> None:
    owed, upstream = settle("bill_delivered", HEARD, 0, 0)
    assert owed.counts == Counts(input=50, cached_read=7)
    assert upstream == HEARD.counts
    assert settle("bill_delivered", HEARD, 0, 30).metered.counts == owed.counts


def test_who_saw_everything_owes_what_the_server_counted() -> None:
    assert settle("bill_delivered", HEARD, 30, 30) == (HEARD, None)


counts = st.integers(0, 10**9)


@given(counts, counts, counts, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_part_is_never_more_than_its_share(
    output: int, reasoning: int, audio: int, delivered: int, more: int
) -> None:
    deltas = delivered + more
    heard = Counts(input=5, output=output, reasoning=reasoning, audio_output=audio, image=1)
    owed = settle("bill_delivered", Metered(heard, "upstream"), delivered, deltas).metered.counts
    made = output + reasoning + audio
    assert (owed.input, owed.image) == (5, 1)
    assert 0 <= owed.output <= output
    assert 0 <= owed.reasoning <= reasoning
    assert 0 <= owed.audio_output <= audio
    billed = owed.output + owed.reasoning + owed.audio_output
    assert billed == (made * delivered // deltas if deltas else 0)


def test_only_who_pays_for_it_has_the_server_go_on_for_long() -> None:
    settings = GatewaySettings(hear_out_s=3, hear_out_full_s=90)
    assert [heard_out_s(p, settings) for p in ("free", "bill_delivered", "bill_full")] == [0, 3, 90]
