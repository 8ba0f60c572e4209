"""Passwords: what is accepted, how it is stored, how it is checked."""

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from quartermaster.kernel.errors import IntegrityError, UsageError

# NIST SP 800-63B-4 asks for 15 where a password stands alone; throttling and loopback by default
# make 12 the lower end of what we accept.
PASSWORD_CHARS_MIN = 12
# NIST asks for at least 64; the limit bounds what one sign-in can make us hash.
PASSWORD_CHARS_MAX = 256

# Each argon2 run takes 64 MiB: two at a time bound what a flood of sign-ins can take.
HASHES_AT_ONCE = 2
_slots = threading.BoundedSemaphore(HASHES_AT_ONCE)

# argon2-cffi's defaults are RFC 9106's second recommendation: 64 MiB, 3 passes, 4 lanes.
HASHER = PasswordHasher()


def check_password(password: str) -> None:
    """Check a new password's length, and nothing else about it.

    Raises:
        UsageError: too short or too long.
    """
    if len(_normal(password)) < PASSWORD_CHARS_MIN:
        raise UsageError(
            f"the password is shorter than {PASSWORD_CHARS_MIN} characters",
            field="password",
            hint="a few unrelated words make a good one",
        )
    if len(password) > PASSWORD_CHARS_MAX:
        raise UsageError(
            f"the password is longer than {PASSWORD_CHARS_MAX} characters", field="password"
        )


def hash_password(password: str, hasher: PasswordHasher = HASHER) -> str:
    """The argon2id hash to store."""
    with _slots:
        return hasher.hash(_normal(password))


def password_matches(stored: str, password: str, hasher: PasswordHasher = HASHER) -> bool:
    """Whether the password belongs to the stored hash; takes the same time either way.

    Raises:
        IntegrityError: the stored hash is not one.
    """
    if len(password) > PASSWORD_CHARS_MAX:
        password = ""
    with _slots:
        try:
            return hasher.verify(stored, _normal(password))
        except VerifyMismatchError:
            return False
        except InvalidHashError as error:
            raise IntegrityError("a stored password hash cannot be read") from error


def _normal(password: str) -> str:
    # The same characters typed on two keyboards may be composed differently.
    return unicodedata.normalize("NFKC", password)
