"""The throughput table: monotone, through its points, and it names what contradicts the others."""

import csv
from math import log
from pathlib import Path
from statistics import fmean

import pytest
from tests.public_data import PUBLIC_DATA

from quartermaster.capacity.fleet import GpuType, ModelShape, Point
from quartermaster.capacity.monotone import contradicting, fit
from quartermaster.capacity.points_csv import read_points
from quartermaster.capacity.roofline import COLD_START, GPU_TYPES, Roofline
from quartermaster.capacity.throughput import Key, tables
from quartermaster.kernel.errors import DataError

MEASURED = PUBLIC_DATA / "calibration/splitwise_perf_model.csv"


def point(prompt: int, batch: int, prefill_ms: float, decode_ms: float, output: int = 0) -> Point:
    return Point(
        model="m",
        gpu="g",
        tensor_parallel=1,
        prompt_tokens=prompt,
        output_tokens=output,
        batch=batch,
        prefill_ms=prefill_ms,
        decode_ms=decode_ms,
    )


KEY = Key("m", "g", 1)
POINTS = (point(100, 1, 10, 20), point(1_000, 1, 100, 22), point(100, 64, 640, 40))


def test_a_table_goes_through_its_points() -> None:
    table = tables(POINTS)[KEY]
    for measured in POINTS:
        tokens = measured.prompt_tokens * measured.batch
        assert table.prefill_ms(tokens) == pytest.approx(measured.prefill_ms, rel=1e-9)
        found = table.decode_ms(measured.batch, measured.context_tokens)
        assert found == pytest.approx(measured.decode_ms, rel=1e-6)
    assert table.basis == "measured"


def test_between_two_points_time_is_their_geometric_mean_at_the_geometric_middle() -> None:
    table = tables(POINTS)[KEY]
    assert table.prefill_ms((100 * 1_000) ** 0.5) == pytest.approx((10 * 100) ** 0.5)
    assert table.decode_ms(8, 100) == pytest.approx((20 * 40) ** 0.5, rel=1e-6)


def test_outside_the_points_it_is_cautious_and_says_so() -> None:
    table = tables(POINTS)[KEY]
    assert table.prefill_ms(10) == pytest.approx(10)
    assert table.prefill_ms(12_800) == pytest.approx(2 * table.prefill_ms(6_400))
    assert table.decode_ms(64, 100) < table.decode_ms(128, 100) < 2 * table.decode_ms(64, 100)
    assert not table.extrapolated(1_000, 8, 500)
    assert table.extrapolated(1_000, 128, 500)
    assert table.extrapolated(10, 8, 500)
    assert table.extrapolated(1_000, 8, 2_000)


def test_noise_is_averaged_until_it_rises() -> None:
    curve = fit([(0.0, 1.0), (1.0, 3.0), (2.0, 2.0), (3.0, 4.0)])
    assert curve.ys == (1.0, 2.5, 2.5, 4.0)
    assert curve.at(1.5) == 2.5


def test_a_point_that_contradicts_the_others_is_left_out_and_named() -> None:
    broken = point(100, 128, 50, 41)
    table = tables((*POINTS, broken))[KEY]
    assert table.prefill_ms(6_400) == pytest.approx(640)
    assert table.left_out == (12_800,)


def test_one_wrong_slow_point_does_not_outvote_the_rest() -> None:
    rising = [(float(x), float(x)) for x in range(6)]
    assert contradicting([*rising, (2.5, 50.0)], log(1.5)) == {2.5}
    assert contradicting(rising, log(1.5)) == set()


def test_prompts_may_be_read_one_by_one_while_many_are_written() -> None:
    alone = Point(
        model="m",
        gpu="g",
        tensor_parallel=1,
        prompt_tokens=1_000,
        batch=16,
        prefill_ms=100,
        decode_ms=30,
        prefill_batch=1,
    )
    table = tables((alone,))[KEY]
    assert not table.extrapolated(1_000, 16, 1_000)
    assert table.prefill_ms(2_000) == pytest.approx(200)


def test_a_single_point_holds_everywhere() -> None:
    table = tables((POINTS[0],))[KEY]
    assert table.decode_ms(1, 100) == pytest.approx(20)
    assert table.decode_ms(99, 9_999) == pytest.approx(20)
    assert table.extrapolated(100, 2, 100)


def test_the_roofline_follows_its_formula() -> None:
    gpu = GpuType(id="g", tflops=100, memory_gb_per_s=1_000)
    model = ModelShape(id="m", parameters_billion=10, kv_bytes_per_token=1_000_000)
    line = Roofline(gpu, model, 2)
    # 2 x 10e9 x 1000 FLOP on 2 x 100e12 FLOP/s are 100 ms; 20 GB and 10 x 100 MB on 2 TB/s 10.5 ms.
    ideal = COLD_START.prefill_fixed_ms + COLD_START.prefill_over_ideal * 100
    assert line.prefill_ms(1_000) == pytest.approx(ideal)
    step = COLD_START.decode_fixed_ms + COLD_START.decode_over_ideal * 10.5
    assert line.decode_ms(10, 100) == pytest.approx(step + 10 * COLD_START.decode_ms_per_sequence)
    assert line.extrapolated(1, 1, 1)
    assert GPU_TYPES["h100-80gb"].tflops == 989


def test_points_from_a_csv() -> None:
    head = b"model,gpu,tensor_parallel,prompt_tokens,batch,prefill_ms,decode_ms,output_tokens\n"
    assert read_points(head + b"m,g,1,100,1,10,20,\n", "p.csv") == (POINTS[0],)
    with pytest.raises(DataError) as caught:
        read_points(head + b"m,g,1,100,1,0,20,3\nm,g,x,100,1,1,20,\n", "p.csv")
    assert "line 2: prefill_ms: expected float >= 0.001" in caught.value.message
    assert "line 3: tensor_parallel: expected int" in caught.value.message


@pytest.mark.skipif(not Path(MEASURED).exists(), reason=f"{MEASURED.name} is not there")
def test_half_of_the_public_measurements_predict_the_other_half() -> None:
    """Decode within 6 %, prefill within 10 %: mean absolute error on conditions never seen."""
    with MEASURED.open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["model"], row["hardware"], row["tensor_parallel"])
            == ("llama2-70b", "a100-80gb", "8")
        ]
    points = [
        point(
            int(row["prompt_size"]),
            int(row["batch_size"]),
            float(row["prompt_time"]),
            float(row["token_time"]),
            int(row["token_size"]),
        )
        for row in rows
    ]
    conditions = sorted({(p.prompt_tokens, p.batch, p.output_tokens) for p in points})
    for fold in (0, 1):
        seen = set(conditions[fold::2])
        known = [p for p in points if (p.prompt_tokens, p.batch, p.output_tokens) in seen]
        rest = [p for p in points if (p.prompt_tokens, p.batch, p.output_tokens) not in seen]
        table = tables(known)[KEY]
        decode = fmean(
            abs(table.decode_ms(p.batch, p.context_tokens) / p.decode_ms - 1) for p in rest
        )
        prefill = fmean(
            abs(table.prefill_ms(p.prompt_tokens * p.batch) / p.prefill_ms - 1) for p in rest
        )
        assert decode < 0.06
        assert prefill < 0.10
