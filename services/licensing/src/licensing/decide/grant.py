"""Who gets a licence, who waits and who is refused at once (pure)."""

from collections.abc import Sequence

from licensing.model import Ask, Pool, Reading
from shared.events.words import Refusal


def capacity(reading: Reading, foreign: int) -> int:
    """Return how many licences of a pool are ours to give (promise 1)."""
    return reading.total - reading.retired - foreign


def over_allocated(capacity: int | None, held: int) -> int:
    """Return how many licences are held beyond the capacity: after a refund, a transfer, another hand."""
    return 0 if capacity is None else max(0, held - capacity)


def in_order(pools: Sequence[Pool], library_id: str | None) -> list[Pool]:
    """Return the pools of an asset that may serve an ask, in the order in which they are asked.

    A library that lets us write goes before one that does not, then the asset's default library, then the
    order of preference. Only the library that the ask insists on, where it does.
    """
    allowed = [pool for pool in pools if library_id in {None, pool.library_id}]
    return sorted(allowed, key=lambda pool: (pool.suspended, pool.rank, pool.library_id))


def refusal_of(pools: Sequence[Pool], *, of_people: bool) -> Refusal | None:
    """Return why these pools of an asset can serve nobody of a kind, None where they can (R1; Apple error 9707)."""
    if not pools:
        return Refusal.NO_POOL
    return None if of_people or pools[0].device_assignable else Refusal.NOT_DEVICE_ASSIGNABLE


def overflow(
    asks: Sequence[Ask], room: Sequence[tuple[Pool, int | None]]
) -> list[tuple[Pool, Sequence[Ask]]]:
    """Grant in the order of arrival, from the first pool while it has room, then from the next; None is any number.

    Whoever stands behind all of them finds nothing left.
    """
    granted: list[tuple[Pool, Sequence[Ask]]] = []
    begin = 0
    for pool, free in room:
        end = len(asks) if free is None else min(len(asks), begin + free)
        if end > begin:
            granted.append((pool, asks[begin:end]))
        begin = end
    return granted
