"""What model servers cost us: attempts in vain, unread output, and what has no price."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.usage import usage_facts
from tests.unit.usage.sealed_logs import new_table, ship, write_segment

from quartermaster.billing.cost import Attempts, rate_costs
from quartermaster.book.postings import accrued_payable, cost, supply
from quartermaster.book.store import open_book
from quartermaster.cli.main import run
from quartermaster.commands import price_book as price_books
from quartermaster.commands.actor import OPERATOR, Actor
from quartermaster.commands.cost import record
from quartermaster.commands.deployment import set_deployment
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import ConflictError, NotAllowedError
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts
from quartermaster.usage.cost import hourly_cost
from quartermaster.usage.cut import current_cut

NOW = Instant(1_000 * US_PER_HOUR)
THEIRS = PriceBook(
    "azure", 1, "USD", 0, (Price("gpt", "input", "2.50"), Price("gpt", "output", "10"))
)


def deployment(name: str, cost_book: str = "azure") -> DeploymentSet:
    return DeploymentSet(
        name=name, model="toy", url="http://h/v1", upstream_model="gpt", cost_book=cost_book
    )


def test_costs_are_rated_by_the_servers_own_names() -> None:
    asked = [
        Attempts("a", "standard", NOW, 2, Counts(input=1_000_000, output=100_000)),
        Attempts("b", "standard", NOW, 1, Counts(input=5)),
        Attempts("a", "standard", NOW, 1, Counts(image=3)),
    ]
    known = {"a": deployment("a"), "b": deployment("b", "")}
    costs = rate_costs(asked, known, {"azure": (THEIRS,)})
    amounts = {line.axis: str(line.amount.normalize()) for line in costs.rated.lines}
    assert amounts == {"input": "2.5", "output": "1"}
    assert costs.uncosted == ("b",)
    (waiting,) = costs.rated.unpriced
    assert (waiting.axis, waiting.quantity) == ("image", 3)


def test_the_seller_pays_for_attempts_in_vain_and_for_what_nobody_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_vain = replace(usage_facts.closed(7, failure="upstream_error"), cost_only=True)
    left = replace(
        usage_facts.closed(30, failure="client_gone"),
        upstream_counts=Counts(input=100, output=90),
    )
    table = new_table(tmp_path / "usage")
    opened = usage_facts.opened
    rows = [(opened(1, attempt=1), in_vain), (opened(1, attempt=2), left)]
    write_segment(tmp_path / "wal" / "gateway-0", rows)
    ship(tmp_path / "wal", table)
    (hour,) = hourly_cost(table, current_cut(table))
    assert (hour.attempts, hour.cost_only) == (2, 1)
    assert hour.counts == Counts(input=200, output=97)
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    price_books.publish(book, OPERATOR, THEIRS, NOW)
    set_deployment(book, OPERATOR, deployment("embedded"), NOW)
    book.close()
    assert run(["--var", str(tmp_path), "deployment", "cost", "--period", "2026-09"]) == 0
    assert capsys.readouterr().out == "embedded  2 attempts, 1 in vain  297 tokens  0.00 USD\n"
    asked = ["--var", str(tmp_path), "deployment", "cost", "--period", "2026-09", "--json"]
    assert run(asked) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert {line["axis"]: line["quantity"] for line in shown["lines"]} == {
        "input": 200,
        "output": 97,
    }
    assert run(["--var", str(tmp_path), "deployment", "cost", "--period", "2026-10"]) == 0
    assert capsys.readouterr().out == ""


def test_the_cost_ledger_books_every_cent_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = open_book(f"sqlite:///{tmp_path}/book.sqlite")
    price_books.publish(book, OPERATOR, THEIRS, NOW)
    set_deployment(book, OPERATOR, deployment("a"), NOW)
    set_deployment(book, OPERATOR, deployment("b"), NOW)

    def record_at(segment: int, output: int) -> list[tuple[str, int]]:
        asked = [
            Attempts("a", "standard", NOW, 3, Counts(input=1_000_000, output=output)),
            Attempts("b", "standard", NOW, 1, Counts(input=400_000)),
        ]
        cut = {"gateway-0": segment}
        news = record(book, OPERATOR, period="1970-02", cut=cut, asked=asked, now=NOW)
        return [(one.deployment, one.total_minor) for one in news]

    assert record_at(1, 100_000) == [("a", 350), ("b", 100)]
    assert record_at(2, 100_000) == []
    # Late usage: only what is new is booked.
    assert record_at(3, 300_000) == [("a", 550)]
    with pytest.raises(ConflictError, match="newer cut"):
        record_at(2, 200_000)
    with pytest.raises(NotAllowedError):
        record(book, Actor("u", ("trust",)), period="1970-02", cut={}, asked=[], now=NOW)
    with book.reading() as unit:
        for name, minor in (("a", 550), ("b", 100)):
            assert unit.ledger.booked(supply(name), "1970-02", cost(name)) == minor
            assert unit.ledger.booked(supply(name), "1970-02", accrued_payable(name)) == -minor
    book.verify()
    book.close()
    asked = ["--var", str(tmp_path), "deployment", "cost", "--period", "1970-02", "--record"]
    assert run(asked) == 0
    assert "recorded: nothing new" in capsys.readouterr().err
