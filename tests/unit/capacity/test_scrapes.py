"""Points from an engine's metrics: means of stretches, and what cannot be used is said."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.capacity.fleet import Point
from quartermaster.capacity.points_csv import read_points
from quartermaster.capacity.scrapes import Replica, calibrate, read_scrape
from quartermaster.capacity.throughput import Key, tables
from quartermaster.cli.throughput import command
from quartermaster.kernel.errors import DataError

REPLICA = Replica("llama", "h100", 2)


def vllm(
    *, running: float, steps: float, step_s: float, reads: float, read_s: float, prompt: float
) -> str:
    """A scrape in vLLM's names: counters since the engine's start."""
    labels = '{engine="0",model_name="a \\"b\\" }"}'
    return f"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{labels} {running}
# TYPE vllm:inter_token_latency_seconds histogram
vllm:inter_token_latency_seconds_bucket{{le="+Inf"}} {steps}
vllm:inter_token_latency_seconds_sum{labels} {step_s}
vllm:inter_token_latency_seconds_count{labels} {steps}
vllm:request_prefill_time_seconds_sum{labels} {read_s}
vllm:request_prefill_time_seconds_count{labels} {reads}
vllm:request_prompt_tokens_sum{labels} {prompt}
vllm:request_prompt_tokens_count{labels} {reads}
vllm:request_generation_tokens_sum{labels} {steps + reads} 1764000000000
vllm:request_generation_tokens_count{labels} {reads}

"""


FIRST = vllm(running=7, steps=1e4, step_s=200.0, reads=100, read_s=12.0, prompt=5e4)
SECOND = vllm(running=9, steps=3e4, step_s=700.0, reads=200, read_s=37.0, prompt=15e4)
THIRD = vllm(running=9, steps=3e4, step_s=700.0, reads=200, read_s=37.0, prompt=15e4)
RESTARTED = vllm(running=3, steps=1e2, step_s=1.0, reads=2, read_s=0.5, prompt=1e3)


def read(*texts: str) -> list[tuple[str, dict[str, float]]]:
    return [(f"{n}.txt", read_scrape(text, f"{n}.txt")) for n, text in enumerate(texts, start=1)]


def test_a_stretch_becomes_the_mean_of_what_happened_in_it() -> None:
    found = calibrate(read(FIRST, SECOND), REPLICA)
    assert found.points == (
        Point(
            model="llama",
            gpu="h100",
            tensor_parallel=2,
            prompt_tokens=1_000,
            batch=8,
            prefill_ms=250.0,
            decode_ms=25.0,
            output_tokens=201,
            prefill_batch=1,
        ),
    )
    assert found.skipped == ()


def test_idle_stretches_and_restarts_are_left_out_and_named() -> None:
    found = calibrate(read(FIRST, SECOND, THIRD, RESTARTED), REPLICA)
    assert len(found.points) == 1
    assert found.skipped == (
        "2.txt to 3.txt: no request was read and written to its end",
        "3.txt to 4.txt: the engine was started again, or does not count what is needed",
    )


def test_the_older_name_of_a_metric_is_read_too() -> None:
    def older(text: str) -> str:
        return text.replace("inter_token_latency", "time_per_output_token")

    assert (
        calibrate(read(older(FIRST), older(SECOND)), REPLICA).points
        == calibrate(read(FIRST, SECOND), REPLICA).points
    )


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ((FIRST,), "1 scrapes; give from 2"),
        ((FIRST, FIRST), "no request was read"),
        (("up 1\n", FIRST), "1.txt has no vllm:num_requests_running"),
        ((FIRST, "<html>"), "2.txt, line 1: not a sample"),
        ((FIRST, SECOND.replace("700.0", "NaN")), "started again"),
        ((FIRST, SECOND.replace("700.0", "fast")), "not a sample"),
    ],
)
def test_what_cannot_be_used_is_said(texts: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        calibrate(read(*texts), REPLICA)


def test_the_command_prints_a_csv_that_capacity_reads(tmp_path: Path) -> None:
    for name, text in (("a.txt", FIRST), ("b.txt", SECOND)):
        (tmp_path / name).write_text(text)
    arguments = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "--model", "llama"]
    arguments += ["--gpu", "h100", "--tensor-parallel", "2"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    points = read_points(done.stdout.encode(), "points.csv")
    table = tables(points)[Key("llama", "h100", 2)]
    assert table.prefill_ms(1_000) == pytest.approx(250.0)
    assert table.decode_ms(8, 1_100.5) == pytest.approx(25.0)
    done = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["points"][0]["decode_ms"] == 25.0


@pytest.mark.parametrize("running", ["NaN", "+Inf", "-3"])
def test_a_gauge_that_is_no_number_gives_no_point(running: str) -> None:
    texts = [
        vllm(running=8, steps=at, step_s=at / 50, reads=at, read_s=at / 20, prompt=at * 500)
        for at in (100, 200, 300)
    ]
    texts[0] = texts[0].replace("} 8\n", f"}} {running}\n", 1)
    found = calibrate([(str(at), read_scrape(text, "s")) for at, text in enumerate(texts)], REPLICA)
    assert len(found.points) == 1
    assert found.skipped == ("0 to 1: vllm:num_requests_running is no number of requests",)
