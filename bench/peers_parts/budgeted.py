"""One worker of ours with limits and a budget that cannot be spent, and who grants its leases.

The grantor is the product's own ledger, fed from the worker's asks as the clerk feeds it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.gateway_parts.processes import (
    PROXY_CPU,
    START_S,
    Pinned,
    free_port,
    lay_out,
    started,
    worker_command,
)
from bench.peers_parts.installed import Peer
from quartermaster.billing.leases import LeaseLedger
from quartermaster.kernel.budget import Budget, BudgetGrant, RateCard, Rates, epochs
from quartermaster.kernel.clock import system_clock
from quartermaster.kernel.lease import ASK, GRANT, LEASE_POLL_S, read_ask, write_grant
from quartermaster.kernel.limit import Limits
from quartermaster.kernel.snapshot import decode, write

CURRENCY = "USD"
# Nine hundred million dollars: far above what one worker can serve in a bench.
AMOUNT_NANOS = 9 * 10**17
# Fifteen cents a million input tokens, in picos a token.
PRICE_PICOS = 150_000


def put_budget(var: Path, models: list[str]) -> tuple[str, str]:
    """Add a budget of the key's group to a data folder; its name in the ledger."""
    path = var / "snapshot.json"
    snapshot = decode(path.read_bytes())
    (key,) = snapshot.keys
    budget = Budget(currency=CURRENCY, period="none")
    grant = BudgetGrant("group", key.group, CURRENCY, epochs(budget, system_clock()))
    rates = Rates(*(PRICE_PICOS,) * len(Rates.__struct_fields__))
    cards = {key.price_book: RateCard(CURRENCY, dict.fromkeys(models, rates))}
    write(path, msgspec.structs.replace(snapshot, budgets={grant.id: grant}, rate_cards=cards))
    return grant.id, grant.epochs[0].id


def _grant(folder: Path, name: tuple[str, str], stop: threading.Event) -> None:
    """Answer every ask until told to stop."""
    ledger = LeaseLedger()
    ledger.agree({name: AMOUNT_NANOS})
    ledger.settle(name, 0)
    while not stop.wait(LEASE_POLL_S):
        for path in folder.glob(f"*{ASK}"):
            ledger.ask(path.name.removesuffix(ASK), read_ask(path))
        for app_id, grant in ledger.grants().items():
            write_grant(folder, app_id, grant)


@contextmanager
def budgeted(var: Path, urls: dict[str, str], limits: Limits) -> Iterator[Peer]:
    """Our worker, held to limits and a budget.

    Args:
        var: its data folder.
        urls: model servers by model.
        limits: of its key.
    """
    key = lay_out(var, urls, limits)
    name = put_budget(var, list(urls))
    folder = var / "leases"
    folder.mkdir()
    stop = threading.Event()
    grantor = threading.Thread(target=_grant, args=(folder, name, stop), daemon=True)
    port = free_port()
    grantor.start()
    try:
        with started(worker_command(var, port), port, PROXY_CPU) as process:
            deadline = time.monotonic() + START_S
            while not list(folder.glob(f"*{GRANT}")):
                if time.monotonic() > deadline:
                    raise RuntimeError("the worker was granted no lease")
                time.sleep(LEASE_POLL_S)
            yield Peer(Pinned(process.pid, port), key, {})
    finally:
        stop.set()
        grantor.join()
