"""Where a key's data may go, and deployments that take no requests."""

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import HELLO, Bench, a_grant, an_index, chat_request

from quartermaster.gateway.index import Index
from quartermaster.kernel.routing import Routing
from quartermaster.kernel.snapshot import Deployment


def deployed(name: str, *zones: str, drained: bool = False) -> Deployment:
    url = f"http://{name}.example/v1"
    routing = Routing(zones=zones)
    return Deployment(name, "toy", url, "toy", routing=routing, drained=drained)


US, EU, DE = deployed("us", "US"), deployed("eu", "EU"), deployed("de", "EU", "DE")


def served_by(index: Index) -> set[str]:
    (entry,) = index.keys.values()
    return {target.deployment.name for target in entry.models.get("toy", ())}


@pytest.mark.parametrize(
    ("zones", "names"),
    [
        ((), {"us", "eu", "de"}),
        (("EU",), {"eu", "de"}),
        (("DE",), {"de"}),
        (("DE", "EU"), {"de"}),
        (("CH",), set()),
    ],
)
def test_data_goes_only_where_it_may(zones: tuple[str, ...], names: set[str]) -> None:
    assert served_by(an_index(a_grant(zones=zones), deployments=(US, EU, DE))) == names


def test_where_nothing_lies_in_the_zone_the_request_is_refused_and_sent_nowhere() -> None:
    bench = Bench(an_index(a_grant(zones=("CH", "EU")), deployments=(US, EU, DE)))
    client = bench.client()
    assert bench.request(chat_request(HELLO), client) is None
    assert (client.status, client.error["code"]) == (403, "data_zone_not_served")
    assert "not served in the data zone CH and EU" in client.error["message"]
    assert bench.wal.open == {}


def test_a_drained_deployment_takes_no_requests_and_another_one_does() -> None:
    index = an_index(deployments=(deployed("a", drained=True), deployed("b")))
    assert served_by(index) == {"b"}


def test_a_model_whose_every_deployment_is_drained_is_refused_for_a_moment() -> None:
    bench = Bench(an_index(deployments=(deployed("a", drained=True),)))
    client = bench.client()
    assert bench.request(chat_request(HELLO), client) is None
    assert (client.status, client.error["code"]) == (503, "model_drained")
    zoned = a_grant(zones=("EU",))
    both = Bench(an_index(zoned, deployments=(US, msgspec.structs.replace(EU, drained=True))))
    client = both.client()
    assert both.request(chat_request(HELLO), client) is None
    assert (client.status, client.error["code"]) == (503, "model_drained")


def test_keys_of_other_zones_do_not_share_their_rights() -> None:
    other = a_grant(key_id="key_2", key_hash="00" * 32, zones=("US",))
    index = an_index(a_grant(zones=("EU",)), other, deployments=(US, EU))
    names = {
        entry.grant.key_id: [one.deployment.name for one in entry.models["toy"]]
        for entry in index.keys.values()
    }
    assert names == {"key_1": ["eu"], "key_2": ["us"]}
