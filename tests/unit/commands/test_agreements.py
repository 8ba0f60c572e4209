"""Customers, contracts, price books, keys and deployments: who may, and in what order."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quartermaster.book.store import Book, open_book
from quartermaster.commands import contract as contracts
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR, Actor, require, require_known
from quartermaster.commands.customer import add_customer, add_group
from quartermaster.commands.deployment import set_deployment
from quartermaster.kernel.clock import US_PER_HOUR, Instant, month
from quartermaster.kernel.contract import Commitment, Contract, Customer, Group
from quartermaster.kernel.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    UsageError,
)
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.ids import key_hash
from quartermaster.kernel.price import Price, PriceBook

NOW = Instant(1_000 * US_PER_HOUR)
PEPPER = b"p" * 32
VIEWER = Actor("usr_viewer", ("viewer", "customer"))
ACME = Customer("acme", "ACME GmbH", "acme", "DE")
LIST = PriceBook("list", 1, "USD", 0, (Price("m", "input", "0.15"),))
CONTRACT = Contract("acme-1", 1, "acme", "list", "USD", "Europe/Berlin", 900 * US_PER_HOUR)
DEPLOYMENT = DeploymentSet(
    name="embedded", model="m", url="http://127.0.0.1:8472/v1", upstream_model="m"
)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    yield book
    book.close()


@pytest.fixture
def agreed(book: Book) -> Book:
    add_customer(book, OPERATOR, ACME, NOW)
    price_books.publish(book, OPERATOR, LIST, NOW)
    contracts.sign(book, OPERATOR, CONTRACT, NOW)
    return book


def changed(thing: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(thing, **changes)


def test_nothing_is_written_without_a_role(book: Book) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: add_group(book, VIEWER, Group("g", "G"), NOW),
        lambda: add_customer(book, VIEWER, ACME, NOW),
        lambda: price_books.publish(book, VIEWER, LIST, NOW),
        lambda: contracts.sign(book, VIEWER, CONTRACT, NOW),
        lambda: keys.issue(book, VIEWER, contract="acme-1", pepper=PEPPER, now=NOW),
        lambda: keys.revoke(book, VIEWER, "key_1", "lost", NOW),
        lambda: set_deployment(book, VIEWER, DEPLOYMENT, NOW),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowedError):
            attempt()
    assert book.facts() == []


def test_roles_do_not_include_each_other() -> None:
    require(Actor("a", ("viewer", "finance")), "finance")
    with pytest.raises(NotAllowedError, match="trust"):
        require(OPERATOR, "trust")
    with pytest.raises(UsageError, match="no role"):
        require_known(())


def test_a_customer_of_its_own_brings_its_group(book: Book) -> None:
    add_customer(book, OPERATOR, ACME, NOW)
    view = book.view()
    assert view.groups == {"acme": Group("acme", "ACME GmbH")}
    assert view.customers == {"acme": ACME}
    assert {fact.actor for fact in book.facts()} == {"operator"}


def test_entities_under_common_control_share_a_group(book: Book) -> None:
    add_group(book, OPERATOR, Group("bytedance", "ByteDance"), NOW)
    for name in ("tiktok", "douyin"):
        add_customer(book, OPERATOR, Customer(name, name, "bytedance"), NOW)
    assert {c.group for c in book.view().customers.values()} == {"bytedance"}
    with pytest.raises(NotFoundError, match="no group 'other'"):
        add_customer(book, OPERATOR, Customer("x", "X", "other"), NOW)


def test_sample_and_real_customers_never_share_a_group(book: Book) -> None:
    add_customer(book, OPERATOR, ACME, NOW)
    with pytest.raises(ConflictError, match="sample"):
        add_customer(book, OPERATOR, Customer("b", "B", "acme", sample=True), NOW)


def test_the_same_again_changes_nothing_and_something_else_is_refused(agreed: Book) -> None:
    written = len(agreed.facts())
    add_customer(agreed, OPERATOR, ACME, NOW)
    price_books.publish(agreed, OPERATOR, LIST, NOW)
    contracts.sign(agreed, OPERATOR, CONTRACT, NOW)
    assert len(agreed.facts()) == written
    with pytest.raises(ConflictError):
        add_customer(agreed, OPERATOR, changed(ACME, name="Other"), NOW)
    with pytest.raises(ConflictError, match="version 1 exists with other terms"):
        contracts.sign(agreed, OPERATOR, changed(CONTRACT, notice_days=1), NOW)
    with pytest.raises(ConflictError):
        price_books.publish(agreed, OPERATOR, changed(LIST, source="x"), NOW)


@pytest.mark.parametrize("text", ["", "a b", "../x", "ä", "-a", "a" * 65, "a\n"])
def test_ids_are_safe_in_urls_and_file_names(book: Book, text: str) -> None:
    with pytest.raises(UsageError, match="cannot be an id"):
        add_customer(book, OPERATOR, changed(ACME, id=text, group=text), NOW)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"version": 3}, UsageError, "next version is 2"),
        ({"valid_from": CONTRACT.valid_from}, UsageError, "does not begin after"),
        ({"currency": "EUR"}, UsageError, "is in USD"),
        ({"time_zone": "UTC"}, UsageError, "time_zone cannot change"),
        ({"customer": "nobody"}, NotFoundError, "no customer"),
        ({"price_book": "x"}, NotFoundError, "no price book"),
        ({"valid_from": CONTRACT.valid_from + 1}, UsageError, "full hour"),
        ({"end": 2_000 * US_PER_HOUR + 1}, UsageError, "full hour"),
        ({"sample": True}, ConflictError, "sample"),
    ],
)
def test_a_contract_version_follows_the_one_before(
    agreed: Book, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    good = changed(CONTRACT, version=2, valid_from=950 * US_PER_HOUR)
    with pytest.raises(error, match=message):
        contracts.sign(agreed, OPERATOR, changed(good, **changes), NOW)
    assert contracts.sign(agreed, OPERATOR, good, NOW) == good


def test_a_zone_whose_months_cut_an_hour_is_refused(agreed: Book) -> None:
    """Hourly rollups cannot say which half of an hour belongs to which month."""
    indian = changed(CONTRACT, id="acme-2", time_zone="Asia/Kolkata")
    with pytest.raises(UsageError, match="Asia/Kolkata"):
        contracts.sign(agreed, OPERATOR, indian, NOW)
    # Whole hours from UTC in its summer, which is when this is signed.
    zone = "Australia/Lord_Howe"
    summer = month(2026, 1, zone).start
    lord_howe = changed(CONTRACT, id="acme-3", time_zone=zone, valid_from=summer)
    with pytest.raises(UsageError, match="Lord_Howe"):
        contracts.sign(agreed, OPERATOR, lord_howe, NOW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 4}, "next version is 2"),
        ({"valid_from": 0}, "does not begin after"),
        ({"valid_from": US_PER_HOUR + 1}, "full hour"),
        ({"currency": "EUR"}, "currency cannot change"),
    ],
)
def test_a_price_book_version_follows_the_one_before(
    agreed: Book, changes: dict[str, Any], message: str
) -> None:
    good = changed(LIST, version=2, valid_from=US_PER_HOUR)
    with pytest.raises(UsageError, match=message):
        price_books.publish(agreed, OPERATOR, changed(good, **changes), NOW)
    assert price_books.publish(agreed, OPERATOR, good, NOW) == good


def test_a_key_is_shown_once_and_stored_by_hash(agreed: Book, tmp_path: Path) -> None:
    issued = keys.issue(agreed, OPERATOR, contract="acme-1", pepper=PEPPER, now=NOW)
    (stored,) = agreed.view().keys.values()
    assert stored.issued.customer == "acme"
    assert stored.issued.key_hash == key_hash(issued.secret.encode(), PEPPER).hex()
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert issued.secret.encode() not in files
    assert issued.key_id.encode() in files


def test_keys_that_would_never_work_are_refused(agreed: Book) -> None:
    with pytest.raises(NotFoundError):
        keys.issue(agreed, OPERATOR, contract="x", pepper=PEPPER, now=NOW)
    with pytest.raises(UsageError, match="expired"):
        keys.issue(agreed, OPERATOR, contract="acme-1", pepper=PEPPER, now=NOW, expires_at=NOW)
    with pytest.raises(UsageError, match="at least one model"):
        keys.issue(agreed, OPERATOR, contract="acme-1", pepper=PEPPER, now=NOW, models=())


def test_a_key_is_revoked_once_with_a_reason(agreed: Book) -> None:
    issued = keys.issue(agreed, OPERATOR, contract="acme-1", pepper=PEPPER, now=NOW)
    with pytest.raises(UsageError):
        keys.revoke(agreed, OPERATOR, issued.key_id, " ", NOW)
    keys.revoke(agreed, OPERATOR, issued.key_id, "lost", NOW)
    assert not agreed.view().keys[issued.key_id].live(NOW)
    with pytest.raises(ConflictError):
        keys.revoke(agreed, OPERATOR, issued.key_id, "lost", NOW)
    with pytest.raises(NotFoundError):
        keys.revoke(agreed, OPERATOR, "key_x", "lost", NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "127.0.0.1:8472"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://user:secret@host/v1"}, "url"),
        ({"model": ""}, "model"),
        ({"name": "a b"}, "name"),
        ({"axes": ("input", "outptu")}, "axes"),
        ({"axes": ()}, "axes"),
    ],
)
def test_a_deployment_is_checked_before_it_is_set(
    book: Book, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(UsageError) as refused:
        set_deployment(book, OPERATOR, changed(DEPLOYMENT, **changes), NOW)
    assert refused.value.field == field


def test_setting_a_deployment_again_writes_only_what_is_new(book: Book) -> None:
    moved = changed(DEPLOYMENT, url="http://127.0.0.1:9000/v1")
    for deployment in (DEPLOYMENT, DEPLOYMENT, moved, DEPLOYMENT):
        set_deployment(book, OPERATOR, deployment, NOW)
    assert [fact.fact for fact in book.facts()] == [DEPLOYMENT, moved, DEPLOYMENT]


def test_what_cannot_be_billed_cannot_be_agreed(agreed: Book) -> None:
    with pytest.raises(UsageError, match="payment cannot be billed yet") as caught:
        contracts.sign(agreed, OPERATOR, changed(CONTRACT, id="acme-2", payment="prepaid"), NOW)
    assert caught.value.field == "payment"


BEGIN = CONTRACT.valid_from
YEAR_LATER = BEGIN + 365 * 24 * US_PER_HOUR
FLOOR = Commitment(1_000, BEGIN, YEAR_LATER)


@pytest.mark.parametrize(
    ("field", "commitments"),
    [
        ("commitments.floor_minor", (changed(FLOOR, floor_minor=0),)),
        ("commitments.start", (changed(FLOOR, end=BEGIN),)),
        ("commitments.start", (changed(FLOOR, start=BEGIN + 1),)),
        ("commitments.start", (changed(FLOOR, start=BEGIN - US_PER_HOUR),)),
        ("commitments.end", (changed(FLOOR, end=YEAR_LATER + US_PER_HOUR),)),
        ("commitments.service_classes", (changed(FLOOR, service_classes=()),)),
        ("commitments.models", (changed(FLOOR, models=("m", "m")),)),
        ("commitments", (FLOOR, changed(FLOOR, floor_minor=7, models=("m",)))),
        ("commitments", (FLOOR,) * 21),
    ],
)
def test_a_floor_that_no_invoice_could_charge_is_refused(
    agreed: Book, field: str, commitments: tuple[Commitment, ...]
) -> None:
    bound = changed(CONTRACT, id="acme-2", commitments=commitments, end=YEAR_LATER)
    with pytest.raises(UsageError) as caught:
        contracts.sign(agreed, OPERATOR, bound, NOW)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("years_ahead", "years", "message"), [(0, 11, "ten years"), (8_000, 1, "2999")]
)
def test_a_floor_beyond_what_anybody_agrees_on_is_refused(
    agreed: Book, years_ahead: int, years: int, message: str
) -> None:
    """One in a year that no calendar has would stop the rating of every customer."""
    a_year = 366 * 24 * US_PER_HOUR
    start = BEGIN + years_ahead * a_year
    floor = changed(FLOOR, start=start, end=start + years * a_year)
    bound = changed(CONTRACT, id="acme-2", commitments=(floor,))
    with pytest.raises(UsageError, match=message):
        contracts.sign(agreed, OPERATOR, bound, NOW)


@pytest.mark.parametrize(
    "terms", [{"end": 10**18}, {"valid_from": 10**18}, {"valid_from": -(10**18)}]
)
def test_a_contract_in_a_year_that_no_calendar_has_is_refused(
    agreed: Book, terms: dict[str, int]
) -> None:
    """Whoever reads its days, such as the daily look at all customers, would stop at it."""
    hours = {name: at // US_PER_HOUR * US_PER_HOUR for name, at in terms.items()}
    with pytest.raises(UsageError, match="year") as caught:
        contracts.sign(agreed, OPERATOR, changed(CONTRACT, id="acme-2", **hours), NOW)
    assert caught.value.field in terms


def test_the_next_version_may_go_on_with_a_floor_and_not_backdate_one(agreed: Book) -> None:
    beside = changed(FLOOR, models=("a",)), changed(FLOOR, models=("b",))
    first = changed(CONTRACT, id="acme-2", commitments=beside)
    contracts.sign(agreed, OPERATOR, first, NOW)
    later = BEGIN + 24 * US_PER_HOUR
    second = changed(first, version=2, valid_from=later)
    raised = changed(second, commitments=(changed(FLOOR, floor_minor=2_000),))
    with pytest.raises(UsageError, match="does not begin before the version"):
        contracts.sign(agreed, OPERATOR, raised, NOW)
    contracts.sign(agreed, OPERATOR, second, NOW)
    assert agreed.view().contracts["acme-2"][-1].commitments == beside
