"""Ids: uuid7 for what happens here, uuid5 for what is named from outside."""

from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

_ASSETS = UUID("6b1f9a52-0f0e-5d0b-9f7e-3c1f6a1c7a10")


def new_id() -> UUID:
    """Return a uuid7: unique, and later ids sort after earlier ones of the same process."""
    return uuid7()


def new_ids(count: int) -> list[UUID]:
    """Return `count` uuid7, rising."""
    return [uuid7() for _ in range(count)]


def asset_id(adam_id: str, pricing_param: str) -> UUID:
    """Return the one id of a VPP asset, however many libraries hold it.

    Apple identifies an asset by the pair (adam id, pricing param); both qualities of a book are two assets.
    """
    return uuid5(_ASSETS, f"{adam_id}/{pricing_param}")
