"""Who gets a licence, who waits and who is refused at once (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

from licensing.model import Ask, Pool, Reading
from shared.events.words import Refusal


@dataclass(frozen=True, slots=True)
class Placement:
    """The asks of one pool, each list in the order of arrival."""

    granted: Sequence[Ask]
    waiting: Sequence[Ask]
    denied: Sequence[Ask]


def capacity(reading: Reading, foreign: int) -> int:
    """Return how many licences of a pool are ours to give (promise 1)."""
    return reading.total - reading.retired - foreign


def over_allocated(capacity: int | None, held: int) -> int:
    """Return how many licences are held beyond the capacity: after a refund, a transfer, another hand."""
    return 0 if capacity is None else max(0, held - capacity)


def choose(pools: Sequence[Pool], library_id: str | None) -> Pool | None:
    """Choose the pool of an ask among the pools of its asset: in the library named, else one with licences left.

    None where no library holds the asset, or the one named does not.
    """
    allowed = [pool for pool in pools if library_id in {None, pool.library_id}]
    return max(allowed, key=lambda pool: pool.free is None or pool.free > 0, default=None)


def refusal_of(pool: Pool | None) -> Refusal | None:
    """Return why this pool can serve no device at all, None where it can (R1; Apple error 9707)."""
    if pool is None:
        return Refusal.NO_POOL
    return None if pool.device_assignable else Refusal.NOT_DEVICE_ASSIGNABLE


def place(pool: Pool, asks: Sequence[Ask]) -> Placement:
    """Grant in the order of arrival while units are left; the others wait, or are denied if they will not.

    Who waits already comes first: a pool has free units beside a waiter only inside the transaction that is
    about to serve the waitlist, and newcomers are placed behind it then.
    """
    free = len(asks) if pool.free is None else pool.free
    left = 0 if pool.waiting and pool.capacity is not None else free
    rest = asks[left:]
    if not rest:
        return Placement(asks, (), ())
    return Placement(
        asks[:left],
        [ask for ask in rest if not ask.no_wait],
        [ask for ask in rest if ask.no_wait],
    )
