"""Guidance through the API: recorded by finance, read by the staff, judged as a file is."""

from tests.unit.api.api_world import World

from quartermaster.api.operation import PREFIX

CSV = {"content-type": "text/csv"}
PROMISE = (
    b"metric,unit,period,basis,metric_version,low,high,source,issued_on,actual,actual_basis\n"
    b"revenue,USD,2025Q1,reported,v1,10,12,letter,2025-01-15,9.5,reported\n"
)


def test_a_promise_is_recorded_once_and_judged(world: World) -> None:
    finance, viewer = world.client("finance"), world.client("viewer")
    assert viewer.get(f"{PREFIX}/guidance").status_code == 404
    for written in (1, 0):
        answer = finance.post(f"{PREFIX}/guidance?name=g.csv", content=PROMISE, headers=CSV)
        assert answer.json() == {"recorded": written, "promises": 1}
    shown = viewer.get(f"{PREFIX}/guidance").json()
    of_file = viewer.post(f"{PREFIX}/guidance/score", content=PROMISE, headers=CSV).json()
    assert shown["guidance"][0]["verdict"] == of_file["guidance"][0]["verdict"] == "miss"
    rewritten = PROMISE.replace(b",10,12,", b",9,12,")
    refused = finance.post(f"{PREFIX}/guidance", content=rewritten, headers=CSV)
    assert (refused.status_code, len(world.book.view().guidance)) == (409, 1)


def test_who_only_reads_records_nothing(world: World) -> None:
    answer = world.client("viewer").post(f"{PREFIX}/guidance", content=PROMISE, headers=CSV)
    assert (answer.status_code, world.book.view().guidance) == (403, {})
