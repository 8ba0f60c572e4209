"""`quartermaster batch` on a folder with batches in it."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from tests.unit.app.batch_world import World, request

from quartermaster.cli.main import cli


def run(folder: Path, *arguments: str) -> Any:
    return CliRunner().invoke(cli, ["--var", str(folder), "batch", *arguments])


def test_batches_are_listed_and_shown(tmp_path: Path) -> None:
    world = World(tmp_path)
    done = world.queue(request(0), request(1))
    world.run(world.runner(), done)
    failed = world.queue(request(0, method="GET"))
    world.run(world.runner(), failed)
    listed = json.loads(run(tmp_path, "list", "--json").stdout)
    assert [(row["id"], row["status"]) for row in listed] == [
        (failed, "failed"),
        (done, "completed"),
    ]
    assert (listed[1]["total"], listed[1]["completed"], listed[1]["model"]) == (2, 2, "m")
    assert len(json.loads(run(tmp_path, "list", "--last", "1", "--json").stdout)) == 1
    assert json.loads(run(tmp_path, "list", "--customer", "globex", "--json").stdout) == []
    assert run(tmp_path, "list", "--customer", "globex").stdout == ""
    table = run(tmp_path, "list").stdout
    assert done in table
    assert failed in table
    shown = run(tmp_path, "show", failed).stdout
    assert "status: failed" in shown
    assert "line 1: invalid_method: The method must be POST." in shown
    assert "Question" not in shown
    assert json.loads(run(tmp_path, "show", done, "--json").stdout)["completed"] == 2
