"""Accounts that are alike, joined only by something besides text, and scored as one."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.unit.conduct.conduct_made_up import KEY, THINGS, campaign

from quartermaster.cli.main import cli, run
from quartermaster.conduct.likeness import Beside, Likeness, Signature, signature
from quartermaster.conduct.linked import Linked, linked
from quartermaster.conduct.links import Population
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.records import AccountDay, Meter, Request
from quartermaster.conduct.sketch import stacked

TRADES = [
    "Translate into French the sentence about {}",
    "What does a {} cost in your shop",
    "Is there any {} left for tomorrow evening",
    "Summarise the article on the {} in one line",
    "Which label fits: {} or none of these",
    "Book a table near the {} for my family",
    "Correct the spelling in this note on a {}",
    "How far is it from the station to the {}",
    "Extract every price from the text about {}",
    "Continue this function that counts each {}",
    "Who sang the old song about the {}",
    "Draft a reply to the customer whose {} broke",
]


def accounts(shared: Meter | None = None) -> list[AccountDay]:
    """Twelve ordinary accounts, and a campaign over three that may share something."""
    out = [
        AccountDay(f"shop{at}", tuple(Request((trade.format(thing),)) for thing in THINGS))
        for at, trade in enumerate(TRADES)
    ]
    made = campaign()
    for shard in range(3):
        part = tuple(Request(r.turns, meter=shared) for r in made[shard::3])
        out.append(AccountDay(f"shard{shard}", part))
    return out


def found(shared: Meter | None) -> Linked:
    return linked(accounts(shared), Observer(KEY), KEY, p_max=0.05)


def test_alike_accounts_without_anything_in_common_are_not_joined() -> None:
    seen = found(None)
    pairs = {frozenset((one.left, one.right)) for one in seen.links}
    assert frozenset(("shard0", "shard1")) in pairs
    assert seen.groups == ()
    assert not any(one.confirmed for one in seen.links)


def test_a_shared_payment_joins_them_and_they_are_scored_as_one() -> None:
    seen = found(Meter(payment="card 1"))
    assert [group.accounts for group in seen.groups] == [("shard0", "shard1", "shard2")]
    assert seen.groups[0].requests == 25
    assert seen.groups[0].workload.findings[0].kind == "meta_generation"


def test_a_public_network_joins_nobody() -> None:
    everybody = [
        AccountDay(
            day.account,
            tuple(Request(r.turns, r.system, Meter(network="cafe")) for r in day.requests),
        )
        for day in accounts(None)
    ]
    assert linked(everybody, Observer(KEY), KEY, p_max=0.05).groups == ()


def tenants(count: int) -> list[AccountDay]:
    """So many ordinary tenants of each trade, whose requests are about different things."""
    return [
        AccountDay(f"tenant{at}/{one}", tuple(Request((trade.format(t),)) for t in THINGS[one::4]))
        for at, trade in enumerate(TRADES)
        for one in range(count)
    ]


def signed(days: list[AccountDay]) -> list[Signature]:
    reader = Observer(KEY)
    return [
        signature(day.account, stacked(reader.observe(request) for request in day.requests))
        for day in days
    ]


def test_what_ordinary_tenants_have_in_common_explains_likeness() -> None:
    """Two shops of one trade are alike, and so they are to known tenants of it; shards are not."""
    known = signed(tenants(3))
    twins = signed(
        [
            AccountDay(f"twin{at}", tuple(Request((TRADES[0].format(t),)) for t in THINGS[at::2]))
            for at in range(2)
        ]
    )
    shards = signed([AccountDay(f"shard{at}", tuple(campaign()[at::2])) for at in range(2)])
    population = Population([*known, *twins, *shards], 1, {one.account for one in known})
    seen = population.evidence([(shards[0], shards[1]), (twins[0], twins[1])])
    assert seen.text.min() > 3, "both pairs are among the most alike"
    assert seen.beyond is not None
    assert seen.beyond[0] > 3
    assert seen.beyond[1] < 1


def test_likeness_is_the_same_for_one_and_for_many() -> None:
    held = signed(accounts())
    likeness = Likeness(held[:10])
    many = Beside(held, likeness)
    for one in held[8:]:
        expected = np.array([likeness.of(one, other) for other in held])
        assert np.allclose(many.likenesses(one), expected)


def test_equal_request_settings_prove_nothing() -> None:
    assert found(Meter(temperature=0.37, max_tokens=911)).groups == ()


def test_a_timetable_of_its_own_joins_a_campaign() -> None:
    """Everybody else is awake at hours of their own; the shards ask at the same three."""
    timed = []
    for at, day in enumerate(accounts()):
        shard = day.account.startswith("shard")
        hours = [6, 29, 41] if shard else [(7 * at + step) % 48 for step in range(9)]
        # Every prompt three times: a pattern of half-hours needs twenty requests.
        asked = [request for request in day.requests for _ in range(3)]
        requests = tuple(
            Request(r.turns, r.system, Meter(second_of_day=1800 * hours[place % len(hours)]))
            for place, r in enumerate(asked)
        )
        timed.append(AccountDay(day.account, requests))
    seen = linked(timed, Observer(KEY), KEY, p_max=0.05)
    assert [group.accounts for group in seen.groups] == [("shard0", "shard1", "shard2")]
    assert all("half-hours" in edge.reasons[0] for edge in seen.links if edge.confirmed)


def test_the_command_needs_enough_accounts_and_prints_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "days.jsonl"
    lines = [
        json.dumps(
            {
                "account": day.account,
                "requests": [
                    {
                        "turns": list(r.turns),
                        "meter": {"payment": r.meter.payment} if r.meter else None,
                    }
                    for r in day.requests
                ],
            }
        )
        for day in accounts(Meter(payment="card 1"))
    ]
    file.write_text("\n".join(lines), "utf-8")
    shown = CliRunner().invoke(cli, ["conduct", "link", str(file), "--p", "0.05"]).stdout
    assert "3 accounts, 25 requests together" in shown
    assert "payments in common" in shown
    result = CliRunner().invoke(cli, ["conduct", "link", str(file), "--p", "0.05", "--json"])
    assert json.loads(result.stdout)["groups"][0]["accounts"] == ["shard0", "shard1", "shard2"]
    few = ["conduct", "link", str(file), "--ordinary", str(file), "--p", "0.05"]
    assert run(few) == 1
    assert "15 ordinary tenants do not say what is usual; 19 do" in capsys.readouterr().err
    file.write_text("\n".join(lines[:3]), "utf-8")
    assert run(["conduct", "link", str(file)]) == 1
    assert "linking needs 10" in capsys.readouterr().err
