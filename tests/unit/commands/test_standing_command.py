"""Standing: who may change it, what can follow from what, and when it takes two."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.commands.signed_book import signed_book

from quartermaster.book.store import Book
from quartermaster.commands import key as keys
from quartermaster.commands import standing as standings
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.publish import build_snapshot
from quartermaster.commands.standing import Changed, RevenueShare
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import (
    CallerError,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.snapshot import decode, encode

NOW = Instant(1_000 * US_PER_HOUR)
DAY = 24 * US_PER_HOUR
ANN, BEN = Actor("usr_ann", ("trust",)), Actor("usr_ben", ("finance",))
SMALL = RevenueShare(Decimal("0.02"), "USD")
LARGE = RevenueShare(Decimal("0.24"), "USD")
ONE = Throttle(limits=Limits(concurrent=1))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with signed_book(tmp_path, NOW, {"acme": "acme", "globex": "globex"}) as book:
        yield book


def change(
    book: Book,
    standing: Standing,
    *,
    actor: Actor = ANN,
    weight: RevenueShare = SMALL,
    throttle: Throttle | None = None,
    now: Instant = NOW,
) -> Changed:
    return standings.change(
        book, actor, "acme", standing, "mass extraction", now,
        weight=weight, sign_off_share=Decimal("0.10"), throttle=throttle, case="case-7",
    )  # fmt: skip


def test_a_small_customer_is_suspended_and_reinstated_by_one_person_each(book: Book) -> None:
    changed = change(book, "suspended")
    assert (changed.before, changed.standing, changed.done) == ("active", "suspended", True)
    assert build_snapshot(book.view(), NOW, 1).standing == {"acme": "suspended"}
    held = standings.held(book.view(), "acme")
    assert (held.standing, held.reason, held.case) == ("suspended", "mass extraction", "case-7")
    assert change(book, "active").done
    assert build_snapshot(book.view(), NOW, 1).standing == {}
    said = [one.fact.standing for one in book.view().standing_log["acme"]]
    assert said == ["suspended", "active"]


@pytest.mark.parametrize("weight", [LARGE, RevenueShare()])
def test_a_large_or_unweighed_customer_takes_a_second_person(
    book: Book, weight: RevenueShare
) -> None:
    proposed = change(book, "suspended", weight=weight)
    assert (proposed.standing, proposed.waits_for, proposed.done) == ("active", "suspended", False)
    assert build_snapshot(book.view(), NOW, 1).standing == {}
    with pytest.raises(NotAllowedError, match="second person"):
        standings.sign_off(book, ANN, proposed.proposal, NOW)
    with pytest.raises(NotAllowedError):
        standings.sign_off(book, Actor("usr_v", ("viewer",)), proposed.proposal, NOW)
    signed = standings.sign_off(book, BEN, proposed.proposal, NOW)
    assert (signed.standing, signed.done) == ("suspended", True)
    fact = book.view().standing_log["acme"][-1]
    assert (fact.actor, fact.fact.proposed_by) == (BEN.id, ANN.id)
    with pytest.raises(NotFoundError):
        standings.sign_off(book, BEN, proposed.proposal, NOW)
    # Giving service back is one action of one person, whatever the share.
    assert change(book, "active", weight=weight).done


def test_exactly_the_share_is_not_above_it(book: Book) -> None:
    assert change(book, "warned", weight=RevenueShare(Decimal("0.10"))).done


def test_where_one_person_is_always_enough_nothing_waits(book: Book) -> None:
    changed = standings.change(
        book, ANN, "acme", "suspended", "r", NOW, weight=RevenueShare(), sign_off_share=Decimal(1)
    )
    assert changed.done


def test_a_newer_proposal_takes_the_place_of_an_older_one_and_old_ones_lapse(book: Book) -> None:
    first = change(book, "warned", weight=LARGE)
    second = change(book, "suspended", weight=LARGE)
    with pytest.raises(NotFoundError):
        standings.sign_off(book, BEN, first.proposal, NOW)
    late = Instant(NOW + standings.PROPOSAL_DAYS_MAX * DAY + 1)
    with pytest.raises(ConflictError, match="older than 7 days"):
        standings.sign_off(book, BEN, second.proposal, late)
    assert standings.decline(book, BEN, second.proposal, "not proven", late) == "acme"
    assert standings.all_held(book.view()) == []


def test_a_change_meanwhile_ends_what_was_proposed(book: Book) -> None:
    proposed = change(book, "suspended", weight=LARGE)
    change(book, "warned")
    with pytest.raises(NotFoundError):
        standings.sign_off(book, BEN, proposed.proposal, NOW)


def test_nobody_is_terminated_who_was_not_suspended_first(book: Book) -> None:
    with pytest.raises(ConflictError, match="that cannot become terminated") as refused:
        change(book, "terminated")
    assert "suspended" in refused.value.hint
    change(book, "suspended")
    assert change(book, "terminated").done
    with pytest.raises(ConflictError):
        change(book, "warned")
    assert change(book, "active").done


def test_the_same_again_changes_nothing_and_another_throttle_does(book: Book) -> None:
    change(book, "throttled", throttle=ONE)
    seq = book.view().seq
    assert change(book, "throttled", throttle=ONE).done
    assert book.view().seq == seq
    other = Throttle(models=("m",))
    change(book, "throttled", throttle=other)
    snapshot = decode(encode(build_snapshot(book.view(), NOW, 1)))
    assert snapshot.throttles == {"acme": other}
    change(book, "suspended")
    assert build_snapshot(book.view(), NOW, 1).throttles == {}


def test_a_throttle_says_what_it_means(book: Book) -> None:
    stranger = keys.issue(book, OPERATOR, contract="globex", pepper=b"p" * 32, now=NOW).key_id
    refused: list[tuple[Standing, Throttle | None, type[CallerError]]] = [
        ("throttled", None, UsageError),
        ("throttled", Throttle(), UsageError),
        ("throttled", Throttle(limits=Limits(concurrent=0)), UsageError),
        ("throttled", Throttle(endpoints=("chat",)), UsageError),
        ("throttled", Throttle(keys=(stranger,)), NotFoundError),
        ("suspended", ONE, UsageError),
    ]
    for standing, throttle, error in refused:
        with pytest.raises(error):
            change(book, standing, throttle=throttle)
    assert book.view().standing == {}


def test_an_investigation_is_a_fact_beside_the_standing(book: Book) -> None:
    for _ in range(2):
        standings.investigate(book, ANN, "acme", "extraction?", NOW, under=True, case="case-7")
    seq = book.view().seq
    assert build_snapshot(book.view(), NOW, 1).investigated == ("acme",)
    assert standings.held(book.view(), "acme").under_investigation
    standings.investigate(book, ANN, "acme", "nothing found", NOW, under=False)
    assert book.view().seq == seq + 1
    assert build_snapshot(book.view(), NOW, 1).investigated == ()


def test_who_may_not_and_what_is_not_there(book: Book) -> None:
    with pytest.raises(NotAllowedError):
        change(book, "suspended", actor=BEN)
    with pytest.raises(NotFoundError):
        standings.held(book.view(), "nobody")
    with pytest.raises(UsageError):
        standings.change(
            book, ANN, "acme", "warned", " ", NOW, weight=SMALL, sign_off_share=Decimal(1)
        )
