"""The users of one library: many retired records and at most one active per client user id. No clock, no network."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Again = Literal["flip", "delete"]


class UserStatus(StrEnum):
    """Apple's states of a record. `DELETED` never changes again."""

    REGISTERED = "Registered"
    ASSOCIATED = "Associated"
    RETIRED = "Retired"
    DELETED = "Deleted"


class UserRefused(Exception):
    """A task on a user that failed, with Apple's error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(slots=True)
class User:
    """One record. `account` is the Apple Account tied to it; it stays on a retired record."""

    number: int
    client_user_id: str
    email: str | None
    invite_code: str
    invited_at: float
    status: UserStatus = UserStatus.REGISTERED
    account: str | None = None
    revision: int = 0
    devices: int = 0  # signed in with the account

    @property
    def active(self) -> bool:
        """Tell whether it can hold what is given now."""
        return self.status in {UserStatus.REGISTERED, UserStatus.ASSOCIATED}

    @property
    def id_hash(self) -> str | None:
        """Return what Apple tells of the account: the same for the same account, and nothing more."""
        return None if self.account is None else hash_account(self.account)

    def wire(self) -> dict[str, Any]:
        """Apple's JSON of a user."""
        row: dict[str, Any] = {"clientUserId": self.client_user_id, "status": self.status}
        if self.email is not None:
            row["email"] = self.email
        if self.status is UserStatus.REGISTERED:
            row["inviteCode"] = self.invite_code
        if self.account is not None:
            row["idHash"] = self.id_hash
        return row


def hash_account(account: str) -> str:
    """Make an opaque name of an Apple Account, in the form of Apple's."""
    return hashlib.sha256(f"apple account {account.lower()}".encode()).hexdigest()[:28]


class Users:
    """All records of a library, by client user id, oldest first."""

    def __init__(self) -> None:
        self._records: dict[str, list[User]] = {}
        self._by_number: dict[int, User] = {}
        self._by_code: dict[str, User] = {}  # of the invitations sent, answered or not
        self._by_account: dict[str, User] = {}  # of the active records, in lower case

    def __iter__(self) -> Iterator[User]:
        return (record for records in self._records.values() for record in records)

    def __contains__(self, client_user_id: str) -> bool:
        return self.active(client_user_id) is not None

    def add(self, user: User) -> None:
        """Take in a record as it is."""
        self._records.setdefault(user.client_user_id, []).append(user)
        self._by_number[user.number] = user
        self._by_code[user.invite_code] = user
        if user.active and user.account is not None:
            self._by_account[user.account.lower()] = user

    def of(self, client_user_id: str) -> list[User]:
        """Return the records of this id, oldest first."""
        return self._records.get(client_user_id, [])

    def active(self, client_user_id: str) -> User | None:
        """Find the one record of this id that is active."""
        return next((record for record in self.of(client_user_id) if record.active), None)

    def latest(self, client_user_id: str) -> User | None:
        """Find the active record of this id, or else the newest."""
        return self.active(client_user_id) or next(reversed(self.of(client_user_id)), None)

    def invited(self, code: str) -> User | None:
        """Find the record whose invitation has this code, Registered as long as nobody has accepted it."""
        return self._by_code.get(code)

    def numbered(self, number: int) -> User | None:
        """Find a record by Apple's own number, which version 1 calls userId."""
        return self._by_number.get(number)

    def with_account(self, account: str) -> User | None:
        """Find the active record that is tied to this account."""
        return self._by_account.get(account.lower())

    def register(self, client_user_id: str, *, email: str | None, code: str, moment: float, at: int) -> User:
        """Make a record, Registered. A retired one that never had an account is taken up again.

        Raises `UserRefused` 9716 where an active one exists.
        """
        if client_user_id in self:
            raise UserRefused(9716)
        user = next((record for record in self.of(client_user_id) if record.account is None), None)
        if user is None:
            user = User(len(self._by_number) + 1, client_user_id, email, code, moment)
            self.add(user)
        user.status, user.email = UserStatus.REGISTERED, email
        user.invite_code, user.invited_at, user.revision = code, moment, at
        self._by_code[code] = user
        return user

    def tie(self, user: User, account: str, *, again: Again, at: int) -> User:
        """Tie an account to a Registered record and answer the record that is Associated now.

        A person who comes back with the account of a retired record of the same id gets that record back
        and the new one retires (`flip`), or the old one is Deleted (`delete`). Raises `UserRefused` 9641
        where the account is another user's.
        """
        if self._by_account.get(account.lower(), user) is not user:
            raise UserRefused(9641)
        siblings = self.of(user.client_user_id)
        former = next(
            (one for one in siblings if (one.account, one.status) == (account, UserStatus.RETIRED)), None
        )
        if former is not None:
            former.revision = at
            if again == "flip":
                self.end(user, at=at)
                user = former
            else:
                former.status = UserStatus.DELETED
        user.account, user.status, user.revision = account, UserStatus.ASSOCIATED, at
        self._by_account[account.lower()] = user
        return user

    def end(self, user: User, *, at: int) -> None:
        """Retire a record. What it holds is the library's affair."""
        if user.account is not None:
            self._by_account.pop(user.account.lower(), None)
        user.status, user.revision = UserStatus.RETIRED, at
