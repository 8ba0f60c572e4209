"""The book's tables, for SQLAlchemy Core.

Money is integer minor units; whatever has a fraction is decimal text, because SQLite has no decimal
type. On SQLite, triggers hold what the code promises: journal and postings are append-only and a
posting set is sealed only when it sums to zero in every currency.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("key", String, unique=True),
    Column("fact", LargeBinary, nullable=False),
    # Two entries with one predecessor would be a fork of the chain.
    Column("prev", String, nullable=False, unique=True),
    Column("sha256", String, nullable=False, unique=True),
)

posting_sets = Table(
    "posting_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    # The fact that made it necessary.
    Column("seq", Integer, ForeignKey("journal.seq"), nullable=False),
    Column("contract", String, nullable=False),
    Column("period", String, nullable=False),
    Column("sample", Boolean, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Index("posting_sets_of_period", "contract", "period"),
)

postings = Table(
    "postings",
    metadata,
    Column("set_id", Integer, ForeignKey("posting_sets.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("minor", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    CheckConstraint("minor <> 0", name="postings_move_something"),
)

users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("folded_name", String, nullable=False, unique=True),
    Column("password_hash", String, nullable=False),
    Column("roles", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("user", String, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("issued_by", String, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    # Whose account the new user sees; empty for the seller's own people.
    Column("customer", String, nullable=False, server_default=""),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("folded_name", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True),
)

answers = Table(
    "answers",
    metadata,
    # Who asked, under which key: the same key of another token is another request.
    Column("token", String, primary_key=True),
    Column("key_hash", String, primary_key=True),
    Column("request_sha256", String, nullable=False),
    Column("begun_at", BigInteger, nullable=False, index=True),
    # Both empty while the request is under way.
    Column("status", Integer),
    Column("sealed", LargeBinary),
)

files = Table(
    "files",
    metadata,
    Column("id", String, primary_key=True),
    # Who may see it: a project of a customer, as at OpenAI.
    Column("customer", String, nullable=False),
    Column("project", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("doc", LargeBinary, nullable=False),
    Index("files_of_project", "customer", "project", "id"),
)

uploads = Table(
    "uploads",
    metadata,
    # The id of the file that is arriving.
    Column("id", String, primary_key=True),
    Column("customer", String, nullable=False, index=True),
    # Reserved before they are written; from `until` on nobody holds them.
    Column("bytes", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("customer", String, nullable=False),
    Column("project", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("input_file", String, nullable=False, index=True),
    # Which runner works on it, and until when nobody else does.
    Column("holder", String, nullable=False),
    Column("held_until", BigInteger, nullable=False),
    Column("doc", LargeBinary, nullable=False),
    Index("batches_of_project", "customer", "project", "id"),
)

batch_lines = Table(
    "batch_lines",
    metadata,
    Column("batch", String, ForeignKey("batches.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    # Where the line stands in the input file; its content is nowhere else.
    Column("offset", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
    Column("request_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    # How often it was answered with an error that another try may mend.
    Column("failures", Integer, nullable=False),
    # Before this instant it is not sent again.
    Column("not_before", BigInteger, nullable=False),
    # An attempt may have been metered whose answer nobody has.
    Column("lost", Boolean, nullable=False),
    Column("answer", LargeBinary),
    Index("batch_lines_by_state", "batch", "state", "not_before"),
)

SQLITE_TRIGGERS = (
    """CREATE TRIGGER journal_keeps BEFORE UPDATE ON journal BEGIN
         SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER journal_stays BEFORE DELETE ON journal BEGIN
         SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER postings_keep BEFORE UPDATE ON postings BEGIN
         SELECT RAISE(ABORT, 'postings are append-only'); END""",
    """CREATE TRIGGER postings_stay BEFORE DELETE ON postings BEGIN
         SELECT RAISE(ABORT, 'postings are append-only'); END""",
    """CREATE TRIGGER postings_are_whole BEFORE INSERT ON postings BEGIN
         SELECT RAISE(ABORT, 'a posting is an integer of minor units')
           WHERE typeof(NEW.minor) <> 'integer';
         SELECT RAISE(ABORT, 'a sealed posting set takes no more postings')
           WHERE (SELECT sealed FROM posting_sets WHERE id = NEW.set_id) = 1; END""",
    """CREATE TRIGGER posting_sets_stay BEFORE DELETE ON posting_sets BEGIN
         SELECT RAISE(ABORT, 'posting sets are append-only'); END""",
    """CREATE TRIGGER posting_sets_balance BEFORE UPDATE ON posting_sets BEGIN
         SELECT RAISE(ABORT, 'a sealed posting set does not change') WHERE OLD.sealed = 1;
         SELECT RAISE(ABORT, 'a posting set must sum to zero in every currency')
           WHERE EXISTS (SELECT 1 FROM postings WHERE set_id = OLD.id
                         GROUP BY currency HAVING SUM(minor) <> 0)
              OR NOT EXISTS (SELECT 1 FROM postings WHERE set_id = OLD.id); END""",
    """CREATE TRIGGER posting_sets_open BEFORE INSERT ON posting_sets BEGIN
         SELECT RAISE(ABORT, 'a posting set is sealed after its postings')
           WHERE NEW.sealed = 1; END""",
)
