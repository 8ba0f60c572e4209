"""Public corpora: recognised under a wrapper, kept apart by kind, bound to one key."""

import gzip
import json
from pathlib import Path

import pytest

from quartermaster.cli.main import run
from quartermaster.conduct.observe import FIELD, Observer
from quartermaster.conduct.records import Request
from quartermaster.conduct.registry import load

KEY = bytes(range(32))
TRAIN = [
    "Name three reasons why the tall ship sank near the northern coast last winter.",
    "Write a short poem about a violin that is afraid of the open sea.",
    "Explain how bees decide together on where the next nest shall be.",
    "Name three violet summer flowers.",
    "List five ways to calm goats down.",
]
TEST = ["A farmer has seven goats and sells two of them, how many goats are left with him?"]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    (tmp_path / "key").write_bytes(KEY)
    train = tmp_path / "train.jsonl.gz"
    with gzip.open(train, "wt") as file:
        file.write("\n".join(json.dumps({"instruction": i, "output": "x"}) for i in TRAIN + TEST))
    (tmp_path / "test.json").write_text(json.dumps(TEST), "utf-8")
    out = tmp_path / "registry"
    files = ["--train", str(train), "--test", str(tmp_path / "test.json")]
    assert (
        run(["conduct", "registry", "build", str(out), *files, "--key-file", str(tmp_path / "key")])
        == 0
    )
    return out


def hits(registry: Path, text: str) -> tuple[float, float]:
    facts = Observer(KEY, load(registry, KEY)).observe(Request((text,))).facts
    return float(facts[FIELD["train_hit"]]), float(facts[FIELD["test_hit"]])


@pytest.mark.parametrize("item", TRAIN)
def test_training_prompts_are_known_as_they_are_and_wrapped(registry: Path, item: str) -> None:
    assert hits(registry, item) == (1, 0)
    assert hits(registry, f"hi! could you help me: {item.lower()} thanks a lot") == (1, 0)


def test_an_item_of_both_kinds_counts_as_a_benchmark(registry: Path) -> None:
    assert hits(registry, TEST[0]) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "How many goats?",
        "Name three reasons why the deadline was missed by our team in the spring.",
        "Where is my parcel, it should have come yesterday with the other one?",
        f"He wrote to us about the borders along the wall and wants you to {TRAIN[3]} Before May.",
        "Name three violet flowers.",
    ],
)
def test_other_prompts_are_not_known(registry: Path, text: str) -> None:
    assert hits(registry, text) == (0, 0)


def test_the_wrapper_of_a_corpus_is_left_out(tmp_path: Path) -> None:
    wrapper = "below is an instruction that describes a task write a response to it"
    file = tmp_path / "train.txt"
    file.write_text(
        "\n".join(f"{wrapper} number {n} red {n * n} of {n}" for n in range(40)), "utf-8"
    )
    out = tmp_path / "out"
    assert run(["conduct", "registry", "build", str(out), "--train", str(file)]) == 0
    observer = Observer(bytes(32), load(out, bytes(32)))
    found = observer.observe(Request((f"{wrapper} and tell me about the sea",))).facts
    assert found[FIELD["train_hit"]] == 0


def test_the_file_holds_no_text(registry: Path) -> None:
    assert not [word for word in (b"violin", b"goats", b"bees") if word in registry.read_bytes()]


def test_another_key_a_broken_file_and_nothing_to_build_are_refused(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = tmp_path / "days.jsonl"
    days.write_text('{"account": "a", "requests": []}', "utf-8")
    assert run(["conduct", "score", str(days), "--registry", str(registry)]) == 1
    assert "another key" in capsys.readouterr().err
    assert run(["conduct", "score", str(days), "--registry", str(days)]) == 1
    assert "not a registry" in capsys.readouterr().err
    assert run(["conduct", "registry", "build", str(tmp_path / "x")]) == 2
    (tmp_path / "bad.jsonl").write_text('{"answer": "x"}', "utf-8")
    assert (
        run(
            [
                "conduct",
                "registry",
                "build",
                str(tmp_path / "x"),
                "--train",
                str(tmp_path / "bad.jsonl"),
            ]
        )
        == 1
    )
    assert "item 1" in capsys.readouterr().err
    (tmp_path / "short.txt").write_text("too short", "utf-8")
    assert (
        run(
            [
                "conduct",
                "registry",
                "build",
                str(tmp_path / "x"),
                "--train",
                str(tmp_path / "short.txt"),
            ]
        )
        == 1
    )
    assert "4 words" in capsys.readouterr().err
