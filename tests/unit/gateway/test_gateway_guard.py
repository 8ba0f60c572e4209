"""What a key is held to: endpoints, networks behind trusted proxies, and a throttled slice."""

import pytest
from tests.unit.gateway.gateway_fakes import NOW, PEPPER, SECRET, TOY, a_grant

from quartermaster.gateway.addresses import client_address, networks, within
from quartermaster.gateway.admit import authenticate
from quartermaster.gateway.guard import Guard, guard
from quartermaster.gateway.index import build
from quartermaster.gateway.limits import Scoped
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.limit import Limits, Throttle
from quartermaster.kernel.snapshot import Snapshot

TRUSTED = networks(["10.0.0.0/8", "fd00::/8"])
BEARER = b"Bearer " + SECRET.encode()


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", b"", "203.0.113.9"),
        # A stranger's own word counts for nothing, and neither does what he put before a proxy's.
        ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", b"198.51.100.1:40000", "198.51.100.1"),
        ("fd00::1", b"[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:203.0.113.9", b"", "203.0.113.9"),
        ("fe80::1%eth0", b"", "fe80::1"),
        ("10.0.0.1", b"10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", b"198.51.100.1, unknown", "None"),
        ("10.0.0.1", b"1.1.1.1," * 200, "None"),
        ("", b"", "None"),
        ("/run/gateway.sock", b"198.51.100.1", "None"),
    ],
)
def test_the_client_is_who_the_last_trusted_proxy_says(
    peer: str, forwarded: bytes, address: str
) -> None:
    assert str(client_address(peer, forwarded, TRUSTED)) == address


def test_networks_of_both_versions_hold_for_their_own() -> None:
    allowed = networks(["203.0.113.0/24", "2001:db8::/32"])
    inside = ("203.0.113.255", "2001:db8:ffff::1", "::ffff:203.0.113.1")
    outside = ("203.0.114.0", "2001:db9::1", "", "::203.0.113.1")
    assert all(within(client_address(one, b"", ()), allowed) for one in inside)
    assert not any(within(client_address(one, b"", ()), allowed) for one in outside)


def refusal(made: Guard | None, endpoint: str, peer: str) -> str:
    assert made is not None
    try:
        made.check_address(client_address(peer, b"", ()))
        made.check_endpoint(endpoint)
    except RefusedError as error:
        return f"{error.http_status} {error.code}"
    return ""


def test_a_key_is_held_to_its_endpoints_and_networks() -> None:
    made = guard(a_grant(endpoints=("embeddings",), networks=("2001:db8::/32",)), None)
    assert refusal(made, "embeddings", "2001:db8::1") == ""
    assert refusal(made, "embeddings", "203.0.113.1") == "403 address_not_allowed"
    assert refusal(made, "embeddings", "") == "403 address_not_allowed"
    assert refusal(made, "chat.completions", "2001:db8::1") == "403 endpoint_not_allowed"


def test_most_keys_have_no_guard() -> None:
    assert guard(a_grant(), None) is None
    assert guard(a_grant(), Throttle(keys=("another",))) is None


def test_a_throttle_limits_its_slice_and_nothing_else() -> None:
    limits = Limits(concurrent=1)
    throttle = Throttle(
        limits=limits, keys=("key_1",), models=("m",), endpoints=("chat.completions",)
    )
    made = guard(a_grant(), throttle)
    assert made is not None
    own = (Scoped("key", "key_1", Limits(concurrent=9)),)
    slice_ = Scoped("throttle", "grp_1", limits)
    assert made.limiting(own, "chat.completions", "m") == (*own, slice_)
    assert made.limiting(own, "chat.completions", "other") == own
    assert made.limiting(own, "embeddings", "m") == own


def test_a_slice_without_limits_is_closed() -> None:
    made = guard(a_grant(), Throttle(models=("m",)))
    assert made is not None
    assert made.limiting((), "responses", "other") == ()
    with pytest.raises(RefusedError) as refused:
        made.limiting((), "responses", "m")
    assert (refused.value.http_status, refused.value.code) == (403, "account_throttled")


def test_a_throttle_holds_only_while_the_standing_says_so() -> None:
    throttles = {"grp_1": Throttle(models=("m",))}
    for standing, guarded in (("throttled", True), ("warned", False)):
        snapshot = Snapshot(1, 0, (a_grant(),), {"grp_1": standing}, (TOY,), throttles=throttles)  # type: ignore[dict-item]
        (entry,) = build(snapshot, {}).keys.values()
        assert (entry.guard is not None) is guarded


def test_a_key_whose_network_cannot_be_read_is_left_out() -> None:
    index = build(Snapshot(1, 0, (a_grant(networks=("10.0.0.0/33",)),), {}, (TOY,)), {})
    assert index.keys == {}
    assert "10.0.0.0/33" in index.problems[0]


@pytest.mark.parametrize(
    ("fields", "investigated", "served"),
    [({}, (), True), ({"prepaid": True}, (), False), ({}, ("grp_1",), False)],
)
def test_without_contact_a_worker_serves_neither_prepaid_nor_investigated_customers(
    fields: dict[str, bool], investigated: tuple[str, ...], served: bool
) -> None:
    snapshot = Snapshot(1, 0, (a_grant(**fields),), {}, (TOY,), investigated=investigated)
    index = build(snapshot, {})
    assert authenticate(index, BEARER, PEPPER, NOW)
    careful = index.without_contact()
    if served:
        assert authenticate(careful, BEARER, PEPPER, NOW)
        return
    with pytest.raises(RefusedError) as refused:
        authenticate(careful, BEARER, PEPPER, NOW)
    assert (refused.value.http_status, refused.value.code) == (503, "out_of_contact")
    assert careful.by_key_id["key_1"].barred
