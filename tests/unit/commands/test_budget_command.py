"""Budgets: who may set them, what cannot be one, payments that count once, what gateways know."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.commands.conftest import Typed
from tests.unit.commands.signed_book import prices, signed_book

from quartermaster.book.store import Book
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands import project as projects
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.budget import (
    Terms,
    all_budgets,
    budget_of,
    pause_budget,
    remove_budget,
    set_budget,
    top_up,
)
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import build_snapshot
from quartermaster.gateway.budget import budgeted
from quartermaster.kernel.budget import epochs
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month_named
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import BudgetCrossed, DeploymentSet
from quartermaster.kernel.snapshot import decode, encode

NOW = Instant(month_named("2026-11", "UTC").start + 500 * US_PER_HOUR)
FINANCE = Actor("usr_finance", ("finance",))
MONTHLY = Terms(amount_minor=50_000)
ZONE = "America/New_York"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    mock = DeploymentSet(
        name="m", model="m", url="http://x/v1", upstream_model="m", axes=("input",)
    )
    with signed_book(tmp_path, NOW, {"acme": "c"}, zone=ZONE) as book:
        set_deployment(book, OPERATOR, mock, NOW)
        yield book


def test_gateways_know_periods_and_the_dearest_price_of_a_day(book: Book, key_id: str) -> None:
    assert build_snapshot(book.view(), NOW, 1).rate_cards == {}
    set_budget(book, FINANCE, "group", "acme", MONTHLY, NOW)
    set_budget(book, OPERATOR, "key", key_id, Terms(prepaid=True, output_tokens=99), NOW)
    price_books.publish(book, OPERATOR, prices(2, NOW + 3 * US_PER_HOUR, "0.2"), NOW)
    price_books.publish(book, OPERATOR, prices(3, NOW + 30 * US_PER_HOUR, "9"), NOW)
    snapshot = decode(encode(build_snapshot(book.view(), NOW, 1)))
    november, december = snapshot.budgets["group:acme"].epochs
    assert (november.label, december.label) == ("2026-11", "2026-12")
    assert november.end == december.start == month_named("2026-12", ZONE).start
    own = snapshot.budgets[f"key:{key_id}"]
    assert (own.prepaid, own.output_tokens, len(own.epochs)) == (True, 99, 1)
    assert own.epochs[0].start == NOW
    assert snapshot.rate_cards["list"].models["m"].input == 200_000


def test_keys_of_a_project_spend_its_budget_and_no_other_project_s(book: Book, key_id: str) -> None:
    projects.add(book, OPERATOR, customer="acme", project="search", name="Search", now=NOW)
    inside = keys.issue(
        book, OPERATOR, contract="c", pepper=b"p" * 32, now=NOW, project="search"
    ).key_id
    set_budget(book, FINANCE, "project", "acme/search", MONTHLY, NOW)
    snapshot = decode(encode(build_snapshot(book.view(), NOW, 1)))
    spends = {grant.key_id: budgeted(grant, snapshot) for grant in snapshot.keys}
    assert spends[key_id] is None
    own = spends[inside]
    assert own is not None
    assert [(one.scope, one.name) for one in own.grants] == [("project", "acme/search")]
    assert own.rates["m"].input == 150_000
    projects.archive(book, OPERATOR, customer="acme", project="search", reason="over", now=NOW)
    with pytest.raises(ConflictError, match="archived"):
        set_budget(book, FINANCE, "project", "acme/search", Terms(amount_minor=9), NOW)


def test_rotating_a_key_shakes_off_no_budget(book: Book, key_id: str) -> None:
    set_budget(book, FINANCE, "key", key_id, MONTHLY, NOW)
    names, asked = [key_id], key_id
    for _ in range(2):
        turned = keys.rotate(book, OPERATOR, asked, overlap_us=0, pepper=b"p" * 32, now=NOW)
        asked = turned.key_id
        names.append(asked)
    keys.revoke(book, OPERATOR, key_id, "it is old", NOW)
    set_budget(book, FINANCE, "key", asked, Terms(amount_minor=1_000), NOW)
    snapshot = decode(encode(build_snapshot(book.view(), Instant(NOW + 1), 1)))
    (grant,) = snapshot.keys
    own = budgeted(grant, snapshot)
    assert own is not None
    assert [one.name for one in own.grants] == [asked, key_id]
    assert own.rates["m"].input == 150_000
    # Its amount can still be changed, though the key that it was set for is gone.
    raised = set_budget(book, FINANCE, "key", key_id, Terms(amount_minor=60_000), NOW)
    assert raised.budget.amount_minor == 60_000


def test_a_budget_that_is_set_anew_has_new_periods(book: Book) -> None:
    first = set_budget(book, OPERATOR, "group", "acme", MONTHLY, NOW).budget
    more = set_budget(book, OPERATOR, "group", "acme", Terms(amount_minor=9), Instant(NOW + 1))
    assert more.budget.since == first.since
    seq = book.view().seq
    set_budget(book, OPERATOR, "group", "acme", Terms(amount_minor=9), Instant(NOW + 2))
    assert book.view().seq == seq
    remove_budget(book, OPERATOR, "group", "acme", NOW)
    assert all_budgets(book.view()) == []
    again = set_budget(book, OPERATOR, "group", "acme", MONTHLY, Instant(NOW + 3)).budget
    assert epochs(again, NOW)[0].id != epochs(first, NOW)[0].id


def test_a_paused_budget_is_spent_by_nobody_and_keeps_its_terms(book: Book, key_id: str) -> None:
    set_budget(book, FINANCE, "group", "acme", MONTHLY, NOW)
    with pytest.raises(NotAllowedError):
        pause_budget(book, Actor("usr_t", ("trust",)), "group", "acme", NOW, paused=True)
    for _ in range(2):
        pause_budget(book, FINANCE, "group", "acme", NOW, paused=True, reason="a leaked key")
    raised = set_budget(book, FINANCE, "group", "acme", Terms(amount_minor=60_000), NOW)
    assert (raised.budget.paused, raised.budget.amount_minor) == (True, 60_000)
    problems = []
    for paused in (True, False):
        pause_budget(book, FINANCE, "group", "acme", NOW, paused=paused)
        snapshot = decode(encode(build_snapshot(book.view(), NOW, 1)))
        own = budgeted(snapshot.keys[0], snapshot)
        assert own is not None
        problems.append(own.problem)
    assert problems == ["its budget is paused", ""]


def test_what_was_announced_stays_announced_while_the_amount_is_the_same(book: Book) -> None:
    set_budget(book, FINANCE, "group", "acme", MONTHLY, NOW)
    told = BudgetCrossed(
        scope="group", name="acme", epoch="2026-11@1", label="2026-11", percent=50,
        spent_minor=1, amount_minor=2, currency="USD",
    )  # fmt: skip
    book.append(told, actor=OPERATOR, now=NOW)
    pause_budget(book, FINANCE, "group", "acme", NOW, paused=True)
    assert book.view().crossed["group", "acme"] == (told,)
    set_budget(book, FINANCE, "group", "acme", Terms(amount_minor=60_000), NOW)
    assert book.view().crossed == {}


def test_a_payment_counts_once_and_stays_when_terms_change(book: Book) -> None:
    set_budget(book, OPERATOR, "group", "acme", Terms(prepaid=True), NOW)
    for _ in range(2):
        top_up(book, FINANCE, "group", "acme", 700, NOW, payment="wire-1")
    with pytest.raises(ConflictError):
        top_up(book, FINANCE, "group", "acme", 800, NOW, payment="wire-1")
    found = set_budget(book, OPERATOR, "group", "acme", Terms(prepaid=True, output_tokens=7), NOW)
    assert (found.budget.amount_minor, found.budget.output_tokens) == (700, 7)
    assert top_up(book, FINANCE, "group", "acme", 1, NOW, payment="w2").budget.amount_minor == 701


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(), "amount"),
        (Terms(amount_minor=-5), "amount"),
        (Terms(amount_minor=10**12), "amount"),
        (Terms(amount_minor=5, prepaid=True), "amount"),
        (Terms(amount_minor=5, currency="EUR"), "currency"),
        (Terms(amount_minor=5, time_zone="Asia/Kolkata"), "time_zone"),
        (Terms(amount_minor=5, thresholds=(0,)), "thresholds"),
        (Terms(amount_minor=5, thresholds=(101,)), "thresholds"),
        (Terms(amount_minor=5, output_tokens=0), "output_tokens"),
    ],
)
def test_what_is_no_budget_is_refused_by_name(book: Book, terms: Terms, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        set_budget(book, OPERATOR, "group", "acme", terms, NOW)
    assert caught.value.field == field
    assert all_budgets(book.view()) == []


def test_its_kind_does_not_change(book: Book, key_id: str) -> None:
    set_budget(book, OPERATOR, "group", "acme", MONTHLY, NOW)
    for terms in (Terms(prepaid=True), Terms(amount_minor=5, period="none")):
        with pytest.raises(ConflictError):
            set_budget(book, OPERATOR, "group", "acme", terms, NOW)
    with pytest.raises(UsageError, match="not prepaid"):
        top_up(book, OPERATOR, "group", "acme", 5, NOW, payment="p")
    with pytest.raises(NotFoundError):
        budget_of(book.view(), "key", key_id)
    keys.revoke(book, OPERATOR, key_id, "lost", NOW)
    with pytest.raises(ConflictError, match="revoked"):
        set_budget(book, OPERATOR, "key", key_id, MONTHLY, NOW)


@pytest.mark.parametrize("role", ["viewer", "trust", "customer"])
def test_other_roles_may_not(book: Book, role: str) -> None:
    actor = Actor("usr_other", (role,))
    with pytest.raises(NotAllowedError):
        set_budget(book, actor, "group", "acme", MONTHLY, NOW)
    with pytest.raises(NotAllowedError):
        remove_budget(book, actor, "group", "acme", NOW)
    with pytest.raises(NotAllowedError):
        top_up(book, actor, "group", "acme", 5, NOW, payment="p")


# -- on the command line -----------------------------------------------------------------------


def test_set_show_top_up_and_remove(quartermaster: Typed) -> None:
    code, out, err = quartermaster(
        "budget set --group acme --prepaid --currency EUR --alert-at 90 --reason agreed"
    )
    assert (code, out) == (0, "group acme: 0.00 EUR paid\n"), err
    paid = quartermaster("budget top-up --group acme --amount 12.50 --payment wire-1")
    assert paid[1] == "group acme: 12.50 EUR paid\n"
    (shown,) = msgspec.json.decode(quartermaster("budget list --json")[1])
    assert (shown["amount"], shown["spent"], shown["alerts_at"]) == ("12.50", None, [90])
    assert quartermaster("budget show --group acme")[0] == 0
    assert quartermaster("budget remove --group acme")[0] == 0
    code, out, err = quartermaster("budget show --group acme")
    assert (code, out) == (1, "")
    assert "has no budget" in err


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("budget set --group acme --currency USD", 2),
        ("budget set --group acme --currency USD --amount 5 --prepaid", 2),
        ("budget set --group acme --amount 5", 2),
        ("budget set --group acme --currency JPY --amount 5.5", 2),
        ("budget set --amount 5", 2),
        ("budget show --key key_x", 1),
        ("webhook add http://example.com/", 2),
        ("webhook add https://u:p@example.com/", 2),
        ("webhook test whk_x", 1),
    ],
)
def test_wrong_lines_end_in_words(quartermaster: Typed, line: str, code: int) -> None:
    found, out, err = quartermaster(line)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
