"""Ids sort by time; keys are long, and their hash needs the pepper."""

import hashlib
import re

from quartermaster.kernel.ids import key_hash, new_id, new_key_secret, ulid


def test_the_published_example_encodes_as_published() -> None:
    # 01ARYZ6S41TSV4RRFFQ69G5FAV, the example of the ULID specification.
    assert ulid(1469918176385, bytes(10))[:10] == "01ARYZ6S41"
    assert ulid(0, bytes(10)) == "0" * 26
    assert ulid(2**48 - 1, b"\xff" * 10) == "7" + "Z" * 25


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    stamps = [ulid(ms, bytes(10)) for ms in (0, 1, 31, 32, 1023, 1024, 2**40, 2**48 - 1)]
    assert stamps == sorted(stamps)
    ids = {new_id("req") for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", one) for one in ids)


def test_keys_carry_256_random_bits() -> None:
    secret = new_key_secret()
    assert re.fullmatch(r"qm-[A-Za-z0-9_-]{43}", secret)
    assert secret != new_key_secret()


def test_a_key_is_stored_by_a_hash_that_needs_the_pepper() -> None:
    secret = b"qm-secret"
    hashed = key_hash(secret, b"p" * 32)
    assert hashed == key_hash(secret, b"p" * 32)
    assert hashed != key_hash(secret, b"q" * 32)
    assert hashed == hashlib.blake2b(secret, key=b"p" * 32, digest_size=32).digest()
