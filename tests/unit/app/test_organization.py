"""The usage API as customers know it: what is asked, what is told, what it costs."""

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from openai.resources.admin.organization import usage as usage_sdk
from tests.openai_document import valid
from tests.unit.app.batch_world import CLASSES, NOW, World, refused, request

from quartermaster.api.organization import KINDS
from quartermaster.app.api_usage import day_costs
from quartermaster.billing.invoice import draft
from quartermaster.billing.rate import rate
from quartermaster.kernel.clock import US_PER_HOUR, US_PER_S, Instant, month_of
from quartermaster.kernel.events import HourlyUsage
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts, ServiceClass
from quartermaster.usage.bucket_rows import BucketRow, BucketsAsked

DAY_S = 86_400
TODAY_S = NOW // US_PER_S - NOW // US_PER_S % DAY_S
FULL = Counts(input=1, cached_read=2, cache_write=4, output=8, reasoning=16, audio_input=32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("organization"))


def row(start_s: int = TODAY_S, counts: Counts = FULL, **changes: Any) -> BucketRow:
    known = dict.fromkeys(("project", "key_id", "model", "service_class", "endpoint"))
    return BucketRow(start_s=start_s, requests=3, counts=counts, **{**known, **changes})


def get(world: World, name: str, **asked: Any) -> Any:
    params = {"start_time": TODAY_S - 2 * DAY_S, "end_time": TODAY_S + DAY_S, **asked}
    answer = world.client().get(f"/v1/organization/{name}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_completions(world: World) -> None:
    world.usage.rows = [row()]
    page = get(world, "usage/completions")
    assert [bucket["start_time"] for bucket in page["data"]] == [
        TODAY_S - 2 * DAY_S,
        TODAY_S - DAY_S,
        TODAY_S,
    ]
    assert [bucket["results"] for bucket in page["data"][:2]] == [[], []]
    assert page["data"][2]["results"] == [
        {
            "object": "organization.usage.completions.result",
            "project_id": None,
            "user_id": None,
            "api_key_id": None,
            "model": None,
            "batch": None,
            "service_tier": None,
            "api_source": None,
            "num_model_requests": 3,
            "input_tokens": 39,
            "input_cached_tokens": 2,
            "input_cache_write_tokens": 4,
            "input_uncached_tokens": 33,
            "input_audio_tokens": 32,
            "output_tokens": 24,
            "output_audio_tokens": 0,
        }
    ]
    assert (page["has_more"], page["next_page"]) == (False, None)
    customer, asked = world.usage.asked[-1]
    assert customer == "acme"
    assert "messages" in asked.endpoints
    assert "embeddings" not in asked.endpoints


def test_what_is_asked_reaches_the_table(world: World) -> None:
    lists = {"group_by[]": ["model", "batch"], "models": ["a", "b"], "project_ids[]": ["p"]}
    world.usage.rows = [
        row(model="a", service_class="batch"),
        row(model="a", service_class="standard"),
    ]
    page = get(world, "usage/completions", batch="true", api_key_ids="key_1", **lists)
    _, asked = world.usage.asked[-1]
    assert asked.by == ("model", "service_class")
    assert (asked.models, asked.projects, asked.keys) == (("a", "b"), ("p",), ("key_1",))
    assert asked.batch is True
    results = page["data"][2]["results"]
    assert [(result["model"], result["batch"]) for result in results] == [("a", True), ("a", False)]


def test_classes_that_are_not_told_apart_are_added_up(world: World) -> None:
    """`batch` puts provisioned and standard together, though the table does not."""
    world.usage.rows = [row(service_class=name) for name in ("standard", "provisioned", "batch")]
    page = get(world, "usage/completions", group_by="batch")
    results = page["data"][2]["results"]
    assert [(r["batch"], r["num_model_requests"]) for r in results] == [(False, 6), (True, 3)]
    page = get(world, "usage/completions", group_by="service_tier")
    tiers = [result["service_tier"] for result in page["data"][2]["results"]]
    assert tiers == ["default", "provisioned", "batch"]


@pytest.mark.parametrize(
    ("width", "seconds", "default"), [("1m", 60, 60), ("1h", 3_600, 24), ("1d", DAY_S, 7)]
)
def test_pages(world: World, width: str, seconds: int, default: int) -> None:
    start, end = TODAY_S + 7, TODAY_S + 40 * seconds * default // 10
    world.usage.rows = []
    found, cursor = [], None
    for _ in range(10):
        times = {"start_time": start, "end_time": end, "bucket_width": width}
        page = get(world, "usage/embeddings", **times, **({"page": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["next_page"]
        assert page["has_more"] is (cursor is not None)
        assert len(page["data"]) <= default
        if cursor is None:
            break
    assert found[0]["start_time"] == start
    assert found[-1]["end_time"] == end
    for one, other in itertools.pairwise(found):
        assert one["end_time"] == other["start_time"]
        assert other["start_time"] % seconds == 0


BAD: list[tuple[dict[str, Any], str]] = [
    ({"start_time": ""}, "start_time"),
    ({"start_time": "x"}, "start_time"),
    ({"start_time": "9" * 30}, "start_time"),
    ({"end_time": TODAY_S - 3 * DAY_S}, "end_time"),
    ({"bucket_width": "1w"}, "bucket_width"),
    ({"limit": 32}, "limit"),
    ({"limit": 0}, "limit"),
    ({"limit": [1, 2]}, "limit"),
    ({"group_by": "colour"}, "group_by"),
    ({"user_ids": "user-1"}, "user_ids"),
    ({"batch": "maybe"}, "batch"),
    ({"page": "page_x"}, "page"),
    ({"page": "page_MQ=="}, "page"),
    ({"sizes": "256x256"}, "sizes"),
]


@pytest.mark.parametrize(("change", "param"), BAD)
def test_questions_that_cannot_be(world: World, change: dict[str, Any], param: str) -> None:
    params = {"start_time": TODAY_S - 2 * DAY_S, "end_time": TODAY_S + DAY_S, **change}
    answer = world.client().get("/v1/organization/usage/completions", params=params)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


REFUSED = {"user_ids": "user_ids", "sizes": "sizes"}
"""What cannot be told: keys have no users, and sizes are not metered."""


def methods() -> list[tuple[str, str, type[Any]]]:
    """What OpenAI's SDK can ask: the address, the parameters as it types them."""
    found = []
    for name in dir(usage_sdk.Usage):
        params = getattr(usage_sdk, f"usage_{name}_params", None)
        if params is not None:
            (kind,) = [
                one for at, one in vars(params).items() if at == f"Usage{_camel(name)}Params"
            ]
            found.append((name, "costs" if name == "costs" else f"usage/{name}", kind))
    assert len(found) >= 10
    return found


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


@pytest.mark.parametrize(("name", "address", "params"), methods())
def test_every_parameter_of_the_sdk_is_understood(
    world: World, name: str, address: str, params: type[Any]
) -> None:
    """Line by line: what its types allow is taken, or refused with the reason."""
    world.usage.rows, world.usage.costly = [row(endpoint="images.edits")], []
    numbers = {"start_time": [TODAY_S], "end_time": [TODAY_S + 1], "limit": [1], "page": []}
    for parameter, hint in get_type_hints(params).items():
        values = numbers.get(parameter, choices(hint) or ["x"])
        for value in values:
            asked = {"start_time": TODAY_S - DAY_S, f"{parameter}[]": value}
            if parameter in (*numbers, "bucket_width", "batch"):
                asked = {"start_time": TODAY_S - DAY_S, parameter: str(value).lower()}
            answer = world.client().get(f"/v1/organization/{address}", params=asked)
            if parameter in REFUSED:
                assert answer.json()["error"]["param"] == parameter
                assert "Unknown" not in answer.json()["error"]["message"]
                continue
            assert answer.status_code == 200, (parameter, value, answer.text)
            if parameter == "group_by" and address != "costs":
                for bucket in answer.json()["data"]:
                    assert all(value in result for result in bucket["results"])


def choices(hint: Any) -> list[Any]:
    """Words that a type allows, wherever in it they stand."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if hint is bool:
        return [True, False]
    return [one for part in get_args(hint) for one in choices(part)]


def test_what_is_not_served_was_not_used(world: World) -> None:
    """Dashboards ask for all addresses: a 404 at one of them would end their look."""
    before = len(world.usage.asked)
    for name in ("vector_stores", "code_interpreter_sessions", "web_search_calls"):
        page = get(world, f"usage/{name}", group_by="project_id")
        assert [bucket["results"] for bucket in page["data"]] == [[], [], []]
    assert len(world.usage.asked) == before
    get(world, "usage/images", sources=["image.variation", "image.edit"])
    assert world.usage.asked[-1][1].endpoints == ("images.variations", "images.edits")


def hour(number: int, service_class: ServiceClass = "standard", **changes: Any) -> HourlyUsage:
    given: dict[str, Any] = {
        "project": "default",
        "key_id": "key_1",
        "model": "m",
        "deployment": "d",
        "service_class": service_class,
        "hour": TODAY_S * US_PER_S + number * US_PER_HOUR,
        "requests": 1,
        "counts": Counts(input=1_000_003, output=7),
    }
    return HourlyUsage("acme", "acme-1", 1, "list", **{**given, **changes})


def test_costs_are_what_the_invoice_says_before_it_is_rounded(world: World) -> None:
    rows = [hour(0), hour(1, "batch"), hour(30), hour(31, project="p")]
    view = world.book.view()
    span = BucketsAsked(first_s=TODAY_S, end_s=TODAY_S + 2 * DAY_S, width_s=DAY_S)
    days = day_costs(rows, view, span)
    period = month_of(Instant(NOW), "UTC")
    contracts = [one for versions in view.contracts.values() for one in versions]
    books = [one for versions in view.price_books.values() for one in versions]
    invoice = draft(view.contracts["acme-1"][0], period, rate(rows, contracts, books), {})
    assert sum(day.amount for day in days) == sum(line.amount for line in invoice.lines)
    assert [(day.start_s, day.amount) for day in days] == [
        (TODAY_S, Decimal("1.500015")),
        (TODAY_S + DAY_S, Decimal("2.000020")),
    ]
    # The class batch is a line of its own, at half the price.
    batch = [line for line in invoice.lines if line.service_class == "batch"]
    assert [(line.axis, line.price) for line in batch] == [("input", "0.50"), ("output", "0.50")]
    standard = [line for line in rate([hour(0)], contracts, books).lines if line.axis == "input"]
    assert batch[0].amount * 2 == standard[0].amount
    assert batch[0].quantity == standard[0].quantity


def test_images_of_a_batch_cost_what_their_class_says(world: World) -> None:
    prices = [
        Price("m", "image", amount, "1_image", name)
        for name, amount in zip(CLASSES, ("0.04", "0.02"), strict=True)
    ]
    rows = [hour(0, name, counts=Counts(image=3)) for name in CLASSES]
    view = world.book.view()
    priced = msgspec.structs.replace(
        view, price_books={"list": [PriceBook("list", 1, "USD", 0, tuple(prices))]}
    )
    span = BucketsAsked(first_s=TODAY_S, end_s=TODAY_S + DAY_S, width_s=DAY_S, by_line=True)
    assert [
        (day.line, day.amount, day.quantity, day.unit) for day in day_costs(rows, priced, span)
    ] == [
        ("m, batch image", Decimal("0.06"), 3, "images"),
        ("m, image", Decimal("0.12"), 3, "images"),
    ]


def test_costs_by_line_project_and_key(world: World) -> None:
    rows = [hour(0), hour(1, "batch"), hour(2, project="p", key_id="key_2")]
    world.usage.costly = day_costs(
        rows,
        world.book.view(),
        BucketsAsked(
            first_s=TODAY_S, end_s=TODAY_S + DAY_S, width_s=DAY_S, by=("project",), by_line=True
        ),
    )
    page = get(world, "costs", **{"group_by[]": ["line_item", "project_id"], "project_ids": "x"})
    _, asked = world.usage.asked[-1]
    assert (asked.by, asked.by_line, asked.projects) == (("project",), True, ("x",))
    results = page["data"][2]["results"]
    assert [(r["project_id"], r["line_item"], r["quantity"]) for r in results] == [
        ("default", "m, batch input", 1_000_003),
        ("default", "m, batch output", 7),
        ("default", "m, input", 1_000_003),
        ("default", "m, output", 7),
        ("p", "m, input", 1_000_003),
        ("p", "m, output", 7),
    ]
    assert {r["quantity_unit"] for r in results} == {"tokens"}
    assert results[0]["amount"] == {"value": 0.5000015, "currency": "usd"}
    filtered = BucketsAsked(
        first_s=TODAY_S, end_s=TODAY_S + DAY_S, width_s=DAY_S, keys=("key_2",), projects=("p",)
    )
    (only,) = day_costs(rows, world.book.view(), filtered)
    assert only.amount == Decimal("1.000010")
    filtered = BucketsAsked(
        first_s=TODAY_S, end_s=TODAY_S + 1, width_s=DAY_S, lines=("m, batch input", "m")
    )
    (only,) = day_costs(rows, world.book.view(), filtered)
    assert only.amount == Decimal("0.5000015")
    page = get(world, "costs", group_by="api_source", line_items=["m, input", "m, output"])
    assert world.usage.asked[-1][1].lines == ("m, input", "m, output")
    assert {r["api_source"] for r in page["data"][2]["results"]} == {"unlabeled"}
    filtered = BucketsAsked(first_s=TODAY_S, end_s=TODAY_S + 1, width_s=DAY_S, keys=("nobody's",))
    assert day_costs(rows, world.book.view(), filtered) == []


def test_everything_we_author_is_what_the_document_says(tmp_path: Path, world: World) -> None:
    world.usage.rows = [row(counts=Counts(input=1, image=2), measured=5)]
    for kind in KINDS:
        valid("UsageResponse", get(world, f"usage/{kind.name}"))
    world.usage.rows = [row(model="m", project="p", key_id="k", service_class="batch")]
    groups = {"group_by": ["model", "project_id", "api_key_id", "batch", "user_id"]}
    valid("UsageResponse", get(world, "usage/completions", **groups))
    world.usage.rows = [row(endpoint="images.edits", counts=Counts(image=2), measured=3)]
    images = get(world, "usage/images", group_by="source", sources="image.edit")
    assert images["data"][2]["results"][0]["source"] == "image.edit"
    assert images["data"][2]["results"][0]["images"] == 5
    valid("UsageResponse", images)
    valid("UsageResponse", get(world, "costs"))
    valid("UsageResponse", get(world, "costs", group_by="line_item"))

    other = World(tmp_path)
    other.reply = lambda line: refused(line, 400)
    client = other.client()
    batch_id = other.queue(request(0), metadata={"a": "b"})
    valid("Batch", client.get(f"/v1/batches/{batch_id}").json())
    valid("Batch", other.run(other.runner(), batch_id))
    failed = other.queue(request(0, method="GET"))
    valid("Batch", other.run(other.runner(), failed))
    valid("ListBatchesResponse", client.get("/v1/batches").json())
    valid("ListFilesResponse", client.get("/v1/files").json())
    files = client.get("/v1/files").json()["data"]
    for file in files:
        valid("OpenAIFile", file)
    assert {file["purpose"] for file in files} == {"batch", "batch_output"}
    valid("DeleteFileResponse", client.delete(f"/v1/files/{files[0]['id']}").json())
    valid("ListFilesResponse", client.get("/v1/files", params={"purpose": "x"}).json())
    valid("ErrorResponse", client.get("/v1/files/none").json())
    json.dumps(files)
