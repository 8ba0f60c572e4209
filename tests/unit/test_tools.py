"""The generators and the lock check: right on the repository, and wrong input is noticed."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools import lock, reference, states
from tools import map as room_map

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def uv_lock() -> dict[str, Any]:
    return tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "requirements.lock").read_text("utf-8")


def test_the_locks_agree() -> None:
    assert lock.check() == []


def test_the_dev_lock_holds_the_runtime_lock() -> None:
    runtime, dev = (lock.parse((ROOT / name).read_text("utf-8")) for name in lock.GROUPS)
    assert runtime.items() <= dev.items()


def test_a_changed_hash_is_noticed(uv_lock: dict[str, Any], text: str) -> None:
    digest = next(iter(lock.parse(text)[lock.Pin("click", version(uv_lock, "click"))]))
    spoilt = text.replace(digest, "sha256:" + "0" * 64)
    (found,) = lock.differences("requirements.lock", spoilt, uv_lock)
    assert "click" in found
    assert "other hashes" in found


def test_a_missing_pin_and_a_stranger_are_noticed(uv_lock: dict[str, Any], text: str) -> None:
    spoilt = text.replace("click==", "clack==")
    found = lock.differences("requirements.lock", spoilt, uv_lock)
    assert [line.split(": ")[1].split()[0] for line in found] == ["clack", "click"]


def test_a_named_index_is_noticed(uv_lock: dict[str, Any], text: str) -> None:
    found = lock.differences("requirements.lock", "--index-url https://a/b\n" + text, uv_lock)
    assert found == ["requirements.lock: names an index; the installer chooses its own"]


def test_a_requirement_that_is_not_locked_is_noticed(uv_lock: dict[str, Any]) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert lock.stale_project(uv_lock, pyproject) == []
    spoilt = copy.deepcopy(pyproject)
    spoilt["project"]["dependencies"].append("leftpad>=1")
    assert lock.stale_project(uv_lock, spoilt) == ["uv.lock: leftpad is not locked; run uv lock"]


def version(uv_lock: dict[str, Any], name: str) -> str:
    found = next(package for package in uv_lock["package"] if package["name"] == name)
    return str(found["version"])


def test_the_map_shows_promises_files_and_plans(tmp_path: Path) -> None:
    for room, file in (("built", "step.py"), ("later", None)):
        folder = tmp_path / room_map.SOURCE / room
        folder.mkdir(parents=True)
        words = '"""Why?\n\nTakes: a,\n    and b.\nGives: c.\nNever: d.\nInvariant: e.\n"""\n'
        (folder / "__init__.py").write_text(words, "utf-8")
        if file:
            (folder / file).write_text('"""One step."""\n', "utf-8")
    contract = '[[tool.importlinter.contracts]]\nlayers = ["built", "(later)"]\n'
    (tmp_path / "pyproject.toml").write_text(contract, "utf-8")
    page = room_map.page(tmp_path)
    assert "### built\n\nWhy?\n\n- *Takes* a, and b.\n- *Gives* c.\n" in page
    assert "| `step.py` | One step. |" in page
    assert "### later (planned)\n" in page


def test_a_limit_is_found_with_its_reason() -> None:
    text = (
        '"""M."""\n\n# Two share\n# one reason.\nA_MAX = 1\nB_BYTES_MAX: int = 2\n\n'
        'C_MIN = 3\n"""Said below."""\n\nD_TIMEOUT_S = 4  # Said beside.\nE_MAX = 5\n'
        "NOT_A_BOUND = 6\n"
    )
    found = {limit.name: (limit.value, limit.reason) for limit in reference.limits_in(text, "m.py")}
    assert found == {
        "A_MAX": ("1", "Two share one reason."),
        "B_BYTES_MAX": ("2", "Two share one reason."),
        "C_MIN": ("3", "Said below."),
        "D_TIMEOUT_S": ("4", "Said beside."),
        "E_MAX": ("5", ""),
    }


def test_every_error_has_a_row_and_every_exit_code_a_meaning() -> None:
    page = reference.exit_codes()
    assert "| 5 | the books do not add up | `IntegrityError` |" in page
    assert "| `RefusedError` |" in page


def test_the_diagrams_are_those_of_the_tables() -> None:
    page = states.PAGE.read_text("utf-8")
    assert states.drawn(page) == page
    assert page.count("stateDiagram") == len(states.TABLES)
    spoilt = page.replace("half_open --> closed: served", "half_open --> open: served")
    assert states.drawn(spoilt) == page != spoilt
