"""Admission, routing and the index, without any socket."""

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import (
    HELLO,
    NOW,
    PEPPER,
    SECRET,
    TOY,
    Bench,
    a_grant,
    an_index,
    raw_request,
)

from quartermaster.gateway.admit import authenticate, targets_for
from quartermaster.gateway.index import Index, build
from quartermaster.gateway.route import Origin, target
from quartermaster.gateway.settings import FILES_RESERVED, GatewaySettings
from quartermaster.kernel.contract import Standing
from quartermaster.kernel.errors import ConfigError, RefusedError
from quartermaster.kernel.snapshot import Deployment, Snapshot

OTHER = Deployment("other@there", "other", "http://10.0.0.1:8000/v1", "other")


def refusal(index: Index, authorization: bytes, now: int = NOW) -> tuple[int, str]:
    with pytest.raises(RefusedError) as caught:
        authenticate(index, authorization, PEPPER, now)
    return caught.value.http_status, caught.value.code


def test_a_good_key() -> None:
    for scheme in (b"Bearer ", b"bearer ", b"BEARER  "):
        entry = authenticate(an_index(), scheme + SECRET.encode(), PEPPER, NOW)
        assert entry.grant.customer == "cus_1"


@pytest.mark.parametrize("authorization", [b"", b"Bearer", b"Bearer ", b"Bearer nope", b"Basic x"])
def test_a_missing_or_unknown_key(authorization: bytes) -> None:
    assert refusal(an_index(), authorization) == (401, "invalid_api_key")


def test_a_key_under_another_pepper_is_unknown() -> None:
    with pytest.raises(RefusedError):
        authenticate(an_index(), b"Bearer " + SECRET.encode(), b"q" * 32, NOW)


def test_a_key_expires_at_its_instant() -> None:
    index = an_index(a_grant(expires_at=NOW + 1))
    assert authenticate(index, b"Bearer " + SECRET.encode(), PEPPER, NOW)
    assert refusal(index, b"Bearer " + SECRET.encode(), NOW + 1) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("standing", "passes"),
    [
        ("active", True),
        ("warned", True),
        ("throttled", True),
        ("suspended", False),
        ("terminated", False),
    ],
)
def test_standing_of_the_group(standing: Standing, passes: bool) -> None:
    index = an_index(standing={"grp_1": standing})
    if passes:
        assert authenticate(index, b"Bearer " + SECRET.encode(), PEPPER, NOW)
    else:
        assert refusal(index, b"Bearer " + SECRET.encode()) == (403, "account_suspended")


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("toy", 0, ""),
        ("nope", 404, "model_not_found"),
        ("other", 403, "model_not_allowed"),
        ("dear", 403, "model_not_priced"),
    ],
)
def test_models(model: str, status: int, code: str) -> None:
    dear = msgspec.structs.replace(OTHER, name="dear@there", model="dear")
    grant = a_grant(models=("toy", "dear"), unpriced_models=("dear",))
    index = an_index(grant, deployments=(TOY, OTHER, dear))
    entry = authenticate(index, b"Bearer " + SECRET.encode(), PEPPER, NOW)
    if not code:
        assert targets_for(index, entry, model)[0].deployment is TOY
        return
    with pytest.raises(RefusedError) as caught:
        targets_for(index, entry, model)
    assert (caught.value.http_status, caught.value.code) == (status, code)
    assert caught.value.field == "model"


def test_a_query_behind_the_address_changes_nothing() -> None:
    bench, client = Bench(), Bench().client()
    target = "/v1/chat/completions?api-version=2024-10-21"
    assert bench.request(raw_request("POST", target, HELLO), client) is not None
    assert bench.wal.open[1].model == "toy"


def test_before_the_first_snapshot_no_body_is_collected() -> None:
    bench = Bench()
    bench.dispatcher.index = None
    refused = bench.dispatcher.refusal_of_head(b"Bearer " + SECRET.encode())
    assert refused is not None
    assert refused.code == "not_ready"


def test_keys_with_the_same_rights_share_one_table() -> None:
    second = a_grant(key_id="key_2", key_hash="00" * 32)
    index = an_index(a_grant(), second)
    one, two = index.keys.values()
    assert one.models is two.models


def test_deployments_of_a_model_take_turns() -> None:
    twin = Deployment("twin@there", "toy", "http://10.0.0.1/v1", "toy", created_at_s=1_600)
    bench = Bench(an_index(deployments=(TOY, twin)))
    for _ in range(10):
        bench.send(HELLO, bench.client())
    names = [exchange.target.deployment.name for exchange, _ in bench.dialled]
    assert sorted(set(names)) == ["toy@here", "twin@there"]
    assert names.count("toy@here") == 5
    assert bench.dispatcher.index is not None
    assert bench.dispatcher.index.created["toy"] == 1_600


def test_the_request_head_is_encoded_once() -> None:
    one = target(Deployment("d", "m", "https://h.example/openai/v1", 'm"x'), "sk-1")
    assert one.origin == Origin("h.example", 443, True)
    assert one.upstream_model == b'"m\\"x"'
    assert one.head.split(b"\r\n") == [
        b"POST /openai/v1/chat/completions HTTP/1.1",
        b"host: h.example",
        b"accept-encoding: identity",
        b"authorization: Bearer sk-1",
        b"content-type: application/json",
        b"x-request-id: ",
    ]


@pytest.mark.parametrize(
    ("url", "secret", "field"),
    [
        ("ftp://h/v1", "", "url"),
        ("h:80/v1", "", "url"),
        ("http://h:port/v1", "", "url"),
        ("http://h/v1\r\nx: y", "", "url"),
        ("http://h/v1 /x", "", "url"),
        ("http://a..b/v1", "", "url"),
        (f"http://{'a' * 64}.example/v1", "", "url"),
        ("http://h/v1", "a\r\nx: y", "secret_file"),
        ("http://h/v1", "é", "secret_file"),
    ],
)
def test_what_cannot_be_called_is_a_configuration_error(url: str, secret: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        target(Deployment("d", "m", url, "m"), secret)
    assert caught.value.field == field
    assert "deployment d" in str(caught.value)


def test_one_bad_entry_does_not_hold_up_the_rest_of_a_snapshot() -> None:
    bad = Deployment("bad", "other", "nonsense", "m")
    locked = Deployment("locked", "other", "http://h/v1", "m", "secrets/missing")
    broken = a_grant(key_id="key_x", key_hash="zz")
    index = build(
        Snapshot(1, 0, (broken, a_grant()), {"grp_1": "suspended"}, (bad, locked, TOY)), {}
    )
    assert refusal(index, b"Bearer " + SECRET.encode()) == (403, "account_suspended")
    assert set(index.models) == {"toy"}
    assert [problem.split(":")[0] for problem in index.problems] == [
        "deployment bad",
        "deployment locked",
        "key key_x",
    ]


@pytest.mark.parametrize("files", [8_256, 1_024, 100, 66, 1])
def test_connection_limits_fit_the_limit_of_open_files(files: int) -> None:
    settings = GatewaySettings(client_connections_max=6_000, upstream_connections_max=2_000)
    fitted = settings.within(files)
    limits = (fitted.client_connections_max, fitted.upstream_connections_max)
    assert min(limits) >= 1
    if files >= 8_000 + FILES_RESERVED:
        assert limits == (6_000, 2_000)
    else:
        assert sum(limits) == max(files - FILES_RESERVED, 2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", 70_000),
        ("port", -1),
        ("workers", 0),
        ("workers", 65),
        ("body_bytes_max", -5),
        ("idle_timeout_s", 0),
        ("app_prefix", "../elsewhere"),
        ("app_prefix", ""),
    ],
)
def test_a_setting_that_cannot_work_is_named(setting: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        msgspec.convert({setting: value}, GatewaySettings)
    assert caught.value.field == f"gateway.{setting}"
    assert caught.value.hint
