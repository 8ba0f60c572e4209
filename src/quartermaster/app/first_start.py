"""What a data folder needs before the first request: prices, models, one customer, one key.

Every step is idempotent, so a start that was interrupted goes on where it stopped, and a second
start finds everything in place.
"""

import os
import secrets
from pathlib import Path

from quartermaster.app.rooms import Rooms
from quartermaster.billing.pricebook import starter
from quartermaster.book.pepper import load_pepper
from quartermaster.commands import contract as contracts
from quartermaster.commands import customer as customers
from quartermaster.commands import key as keys
from quartermaster.commands import price_book as price_books
from quartermaster.commands.deployment import set_deployment
from quartermaster.commands.publish import refresh
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.contract import Contract, Customer, Group
from quartermaster.kernel.events import DeploymentSet
from quartermaster.kernel.ids import key_hash

FIRST_CUSTOMER = "first-customer"
FIRST_CONTRACT = "first-contract"
EMBEDDED_MODELS = ("smollm2-135m-instruct", "toy")
SECRET_MODE = 0o600


def prepare(rooms: Rooms) -> str:
    """Fill what is missing and publish the snapshot; returns the first customer's key.

    The key of this one customer, who is the operator trying the product, is kept in the data
    folder (mode 0600) so that every start can show a line to paste. All other keys are shown once
    and never stored.
    """
    _publish_starter_prices(rooms)
    _serve_embedded_models(rooms)
    _add_first_customer(rooms)
    secret = _first_key(rooms)
    refresh(rooms.book, snapshot_path(rooms.var), rooms.now())
    return secret


def snapshot_path(var: Path) -> Path:
    """Where gateways look."""
    return var / "snapshot.json"


def pepper_path(var: Path) -> Path:
    """Where the key pepper lies."""
    return var / "secrets" / "key_pepper"


def _publish_starter_prices(rooms: Rooms) -> None:
    if starter().id not in rooms.book.view().price_books:
        price_books.publish(rooms.book, rooms.actor, starter(), rooms.now())


def _serve_embedded_models(rooms: Rooms) -> None:
    url = f"http://127.0.0.1:{rooms.settings.model.port}/v1"
    for model in EMBEDDED_MODELS:
        deployment = DeploymentSet(
            name=f"embedded-{model}", model=model, url=url, upstream_model=model
        )
        set_deployment(rooms.book, rooms.actor, deployment, rooms.now())


def _add_first_customer(rooms: Rooms) -> None:
    now, actor, book = rooms.now(), rooms.actor, rooms.book
    view = book.view()
    if FIRST_CUSTOMER not in view.groups:
        customers.add_group(book, actor, Group(FIRST_CUSTOMER, "First customer"), now)
    if FIRST_CUSTOMER not in view.customers:
        customer = Customer(FIRST_CUSTOMER, "First customer", FIRST_CUSTOMER)
        customers.add_customer(book, actor, customer, now)
    if FIRST_CONTRACT not in view.contracts:
        first_hour = Instant(now - now % US_PER_HOUR)
        contract = Contract(
            id=FIRST_CONTRACT,
            version=1,
            customer=FIRST_CUSTOMER,
            price_book=starter().id,
            currency="USD",
            time_zone="UTC",
            valid_from=first_hour,
        )
        contracts.sign(book, actor, contract, now)


def _first_key(rooms: Rooms) -> str:
    """The stored key while it is live, else a new one."""
    path = rooms.var / "secrets" / "first_customer_key"
    pepper = load_pepper(pepper_path(rooms.var))
    if path.is_file():
        secret = path.read_text().strip()
        known = key_hash(secret.encode(), pepper).hex()
        live = (key for key in rooms.book.view().keys.values() if key.live(rooms.now()))
        if any(secrets.compare_digest(key.issued.key_hash, known) for key in live):
            return secret
    issued = keys.issue(
        rooms.book, rooms.actor, contract=FIRST_CONTRACT, pepper=pepper, now=rooms.now()
    )
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    try:
        os.write(file, issued.secret.encode())
        os.fsync(file)
    finally:
        os.close(file)
    beside.replace(path)
    return issued.secret
