"""Price books: a version is immutable, the next one begins later."""

from quartermaster.commands.actor import Actor, require
from quartermaster.commands.names import require_id
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_HOUR, Instant
from quartermaster.kernel.errors import ConflictError, UsageError
from quartermaster.kernel.events import PriceBookPublished
from quartermaster.kernel.price import PriceBook


def publish(book: Book, actor: Actor, price_book: PriceBook, now: Instant) -> PriceBook:
    """Record a version of a price book; the same version again changes nothing.

    A version may begin in the past: drafts of that time change with the next rating, and usage
    that waited for a price gets one.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: the version does not follow the one before it.
        ConflictError: the version exists with other prices.
    """
    require(actor, "admin", "finance")
    require_id(price_book.id, "id")
    if price_book.valid_from % US_PER_HOUR:
        raise UsageError(
            f"price book {price_book.id} does not begin on a full hour",
            field="valid_from",
            hint="usage is rated by the hour, so a price begins with one",
        )
    with book.writing() as unit:
        known = unit.view().price_books.get(price_book.id, ())
        if price_book not in known:
            _require_succession(known, price_book)
        unit.journal.append(
            PriceBookPublished(price_book=price_book),
            actor=actor,
            now=now,
            key=f"price_book:{price_book.id}:{price_book.version}",
        )
    return price_book


def _require_succession(known: tuple[PriceBook, ...], price_book: PriceBook) -> None:
    following = len(known) + 1
    if price_book.version < following:
        raise ConflictError(
            f"price book {price_book.id} version {price_book.version} exists with other prices",
            field="version",
            hint=f"a change is a new version: {following}",
        )
    if price_book.version > following:
        raise UsageError(
            f"price book {price_book.id}: the next version is {following}", field="version"
        )
    if not known:
        return
    previous = known[-1]
    if price_book.valid_from <= previous.valid_from:
        raise UsageError(
            f"price book {price_book.id} version {price_book.version} does not begin after "
            f"version {previous.version}",
            field="valid_from",
        )
    for field in ("currency", "sample"):
        if getattr(price_book, field) != getattr(previous, field):
            raise UsageError(
                f"price book {price_book.id}: {field} cannot change between versions",
                field=field,
                hint="publish another price book",
            )
