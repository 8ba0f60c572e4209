"""Folding facts into what is true now."""

from quartermaster.book.chain import Recorded
from quartermaster.book.views import View, fold
from quartermaster.kernel import events
from quartermaster.kernel.contract import Contract, Customer, Group
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.standing_facts import StandingChanged


def book(version: int, valid_from: int) -> PriceBook:
    return PriceBook("list", version, "USD", valid_from, (Price("m", "input", "1"),))


def contract(version: int, valid_from: int, end: int | None = None) -> Contract:
    return Contract("c", version, "acme", "list", "USD", "UTC", valid_from, end)


FACTS: tuple[events.JournalFact, ...] = (
    events.GroupAdded(group=Group("g", "G")),
    events.CustomerAdded(customer=Customer("acme", "ACME", "g")),
    events.PriceBookPublished(price_book=book(1, 0)),
    events.PriceBookPublished(price_book=book(2, 100)),
    events.ContractSigned(contract=contract(1, 10)),
    events.ContractSigned(contract=contract(2, 50, end=200)),
    events.KeyIssued(key_id="k1", key_hash="00", customer="acme", contract="c"),
    events.KeyIssued(key_id="k2", key_hash="01", customer="acme", contract="c", expires_at=90),
    events.KeyRevoked(key_id="k1", reason="lost"),
    StandingChanged(group="g", standing="warned", reason="r"),
    StandingChanged(group="g", standing="active", reason="r"),
    events.DeploymentSet(name="d", model="m", url="http://a/v1", upstream_model="m"),
    events.DeploymentSet(name="d", model="m", url="http://b/v1", upstream_model="m"),
    events.SegmentShipped(app_id="gw-0", segment=1, rows=4, sha256="a"),
    events.SegmentShipped(app_id="gw-0", segment=2, rows=5, sha256="b"),
    events.InvoiceDrafted(
        invoice="i1", contract="c", period="p", cut={}, total_minor=1, currency="USD",
        lines_sha256="a",
    ),
    events.InvoiceDrafted(
        invoice="i2", contract="c", period="p", cut={}, total_minor=2, currency="USD",
        lines_sha256="b",
    ),
    events.UserAdded(user="u", name="Ada", roles=("viewer",)),
    events.RolesChanged(user="u", roles=("admin",)),
)  # fmt: skip

RECORDED = [Recorded(seq, seq * 10, "ada", fact) for seq, fact in enumerate(FACTS, start=1)]


def test_the_fold_knows_what_is_true_now() -> None:
    view = fold(View(), RECORDED)
    assert view.seq == len(FACTS)
    assert view.customers["acme"].group == "g"
    assert [b.version for b in view.price_books["list"]] == [1, 2]
    assert [c.version for c in view.contracts["c"]] == [1, 2]
    assert view.keys["k1"].revoked_at == 90
    assert view.standing == {"g": "active"}
    assert view.deployments["d"].fact.url == "http://b/v1"
    assert view.deployments["d"].first_at == 120
    assert (view.shipped, view.shipped_rows) == ({"gw-0": 2}, {"gw-0": 9})
    assert view.drafts["c", "p"].invoice == "i2"
    assert view.users["u"].roles == ("admin",)


def test_folding_in_parts_gives_the_same_view_and_leaves_the_old_one_alone() -> None:
    whole = fold(View(), RECORDED)
    for cut in range(len(RECORDED) + 1):
        first = fold(View(), RECORDED[:cut])
        kept = fold(View(), RECORDED[:cut])
        assert fold(first, RECORDED[cut:]) == whole
        assert first == kept
    assert View().groups == {}


def test_versions_are_in_force_from_their_beginning_to_the_end() -> None:
    view = fold(View(), RECORDED)
    in_force = {at: view.contract_at("c", at) for at in (9, 10, 49, 50, 199, 200)}
    versions = {at: None if c is None else c.version for at, c in in_force.items()}
    assert versions == {9: None, 10: 1, 49: 1, 50: 2, 199: 2, 200: None}
    prices = {at: view.price_book_at("list", at) for at in (-1, 0, 99, 100)}
    assert [None if b is None else b.version for b in prices.values()] == [None, 1, 1, 2]
    assert view.contract_at("unknown", 10) is None
    assert view.price_book_at("unknown", 10) is None


def test_a_key_lives_until_it_is_revoked_or_expires() -> None:
    keys = fold(View(), RECORDED).keys
    assert not keys["k1"].live(0)
    assert keys["k2"].live(89)
    assert not keys["k2"].live(90)
