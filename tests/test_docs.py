"""What the documents show works: code blocks run, links lead somewhere.

A ```python block runs unless `<!-- not run: reason -->` stands above it. A ```console block runs
where `<!-- run -->` stands above it: lines that begin with `$ ` are commands, the others their
output, in which `...` stands for anything. Blocks of one document share a folder and run in order.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>run|not run: .+?) -->\n+)?^```(?P<kind>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)")
COMMAND_SECONDS_MAX = 60


class Block(NamedTuple):
    """A code block that shall run."""

    kind: str
    body: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a document that run."""
    for found in BLOCK.finditer(text):
        kind, mark = found["kind"], found["mark"] or ""
        if (kind == "python" and not mark) or (kind == "console" and mark == "run"):
            yield Block(kind, found["body"], text.count("\n", 0, found.start("body")))


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Commands of a console block with the output that is shown for them."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def matches(shown: str, real: str) -> bool:
    """Whether real output is what is shown, `...` standing for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, real.strip(), re.DOTALL) is not None


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run with this environment's commands first on the path and a plain terminal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS_MAX,
    )


def run_block(block: Block, folder: Path) -> None:
    if block.kind == "python":
        done = run([sys.executable, "-c", block.body], folder)
        assert done.returncode == 0, done.stderr
        return
    for command, shown in commands(block.body):
        done = run(["bash", "-c", command], folder)
        if shown.strip():
            assert matches(shown, done.stdout + done.stderr), done.stdout + done.stderr
        else:
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_blocks_run(path: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for block in blocks(path.read_text("utf-8")):
        run_block(block, tmp_path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    without_code = re.sub(
        r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    targets = [found["target"] for found in LINK.finditer(without_code)]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_page_can_be_found() -> None:
    """From the index by one link; a decision from the list of decisions."""
    for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md"):
        found = {
            (index.parent / target["target"]).resolve()
            for target in LINK.finditer(index.read_text("utf-8"))
        }
        pages = {*index.parent.rglob("*.md"), index}
        if index.parent.name == "docs":
            pages -= {*(index.parent / "decisions").glob("*.md")}
        assert sorted(pages - found - {index}) == []


# --- the checker itself ---------------------------------------------------------------------


def test_a_wrong_output_is_caught(tmp_path: Path) -> None:
    (block,) = blocks("# A\n\n<!-- run -->\n```console\n$ echo one\ntwo\n```\n")
    with pytest.raises(AssertionError, match="one"):
        run_block(block, tmp_path)


def test_a_failing_command_is_caught(tmp_path: Path) -> None:
    (block,) = blocks("<!-- run -->\n```console\n$ false\n```\n")
    with pytest.raises(AssertionError):
        run_block(block, tmp_path)


def test_a_failing_snippet_is_caught(tmp_path: Path) -> None:
    (block,) = blocks("```python\nraise SystemExit('no')\n```\n")
    with pytest.raises(AssertionError, match="no"):
        run_block(block, tmp_path)


def test_a_right_output_passes(tmp_path: Path) -> None:
    (block,) = blocks("<!-- run -->\n\n```console\n$ echo 'a 1 b'; echo c\na ... b\nc\n```\n")
    run_block(block, tmp_path)


def test_marked_blocks_stay_out() -> None:
    text = "<!-- not run: needs a key -->\n```python\nx\n```\n\n```console\n$ rm x\n```\n"
    assert list(blocks(text)) == []
