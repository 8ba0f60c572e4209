"""What a request's end means for the customer."""

import itertools
from typing import get_args

import pytest
from tests.unit.usage import usage_facts

from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.units import Counts
from quartermaster.usage import policy


@pytest.mark.parametrize(
    ("failure", "delivered", "status"),
    [
        ("", True, "closed"),
        ("", False, "closed_unconfirmed"),
        ("upstream_dropped", True, "closed"),
        ("upstream_dropped", False, "closed_unconfirmed"),
        (policy.CLIENT_GONE, False, "closed"),
        (policy.WORKER_DIED, False, "aborted"),
        (policy.WORKER_DIED, True, "aborted"),
    ],
)
def test_status(failure: str, delivered: bool, status: str) -> None:
    assert policy.status_of(usage_facts.closed(failure=failure), delivered=delivered) == status


def test_an_aborted_request_is_its_last_progress_and_no_more() -> None:
    closed = policy.aborted(usage_facts.opened(1), usage_facts.progress(7))
    assert closed.counts == Counts(output=7)
    assert (closed.delivered_chunks, closed.failure) == (7, "worker_died")
    assert closed.closed_at == usage_facts.progress(7).at


def test_an_aborted_request_without_progress_is_nothing() -> None:
    closed = policy.aborted(usage_facts.opened(1), None)
    assert closed.counts == Counts()
    assert closed.closed_at == usage_facts.NOON


def test_only_free_contracts_waive_and_only_what_was_cut_off() -> None:
    broken = {"upstream_dropped", "upstream_malformed", "upstream_error", "upstream_timeout"}
    cut_off = {policy.CLIENT_GONE, policy.WORKER_DIED, *broken}
    failures = ("", "usage_negative", "upstream_rejected", *sorted(cut_off))
    waived = {
        (kind, failure)
        for kind, failure in itertools.product(get_args(CancelledStream), failures)
        if policy.is_waived(kind, failure)
    }
    assert waived == {("free", failure) for failure in cut_off}
