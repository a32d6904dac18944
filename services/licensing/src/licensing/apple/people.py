"""What licensing asks Apple about its users: register, update and retire them, and who has joined."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from urllib.parse import quote

from licensing.apple.answers import read_event_id, read_users
from licensing.apple.line import Line
from licensing.apple.service import CODE_PLACE
from licensing.model import Access, AppleUserRow, Hidden, NewAppleUser, UserPage
from shared.errors import Unavailable
from shared.vault import Secret


class PeopleCalls:
    """The calls about Apple users. Who calls a write has waited for the library's turn, and obeys its limit."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def create_users(self, access: Access, users: Sequence[NewAppleUser]) -> str:
        """Ask Apple to create users; return the id of its event, which tells nothing of the records made.

        Raises AppleRefused, Unavailable (nothing was queued), OutcomeUnknown (it may have been).
        """
        return await self._write("createUsers", access, users)

    async def update_users(self, access: Access, users: Sequence[NewAppleUser]) -> str:
        """Ask Apple to bring users up to date; what is None stays as it is. Raises as `create_users` does."""
        return await self._write("updateUsers", access, users)

    async def retire_users(self, access: Access, client_user_ids: Collection[str]) -> str:
        """Ask Apple to end users: revocable licences come back, books stay spent. Raises as `create_users` does."""
        return await self._write("retireUsers", access, [NewAppleUser(each) for each in client_user_ids])

    async def users(
        self, access: Access, *, since: str | None, first_page: int = 0
    ) -> AsyncGenerator[UserPage, None]:
        """Yield the records of a library, or those changed since a version, page by page from `first_page` on.

        The version of the first page is the one to go on from: what changes under the walk comes then. A delta
        without rows is normal. Raises AppleRefused: 9721 for a version that Apple does not know (read all of
        it), 9650 for a list that became shorter on the way (begin anew).
        """
        query = {} if since is None else {"sinceVersionId": since}
        async with aclosing(self._line.pages("getUsers", access, query, first=first_page)) as bodies:
            async for body in bodies:
                yield read_users(body)

    async def user(self, access: Access, client_user_id: str) -> list[AppleUserRow]:
        """Return all records of a user: many may be retired, at most one is active."""
        query = {"clientUserId": client_user_id}
        async with aclosing(self._line.pages("getUsers", access, query)) as bodies:
            rows = [row async for body in bodies for row in read_users(body).users]
        return [row for row in rows if row.client_user_id == client_user_id]

    async def invitation_link(self, code: Hidden) -> Hidden:
        """Return the link that invites whoever holds it: as secret as its code.

        Raises Unavailable where Apple publishes no https address of its own for invitations.
        """
        template = (await self._line.service.config()).invitation
        if template is None:
            raise Unavailable("apple_without_invitations")
        return Secret(template.replace(CODE_PLACE, quote(code.reveal().decode(), safe="")).encode())

    async def _write(self, name: str, access: Access, users: Sequence[NewAppleUser]) -> str:
        return read_event_id(await self._line.write(name, access, {"users": [_wire(user) for user in users]}))


def _wire(user: NewAppleUser) -> dict[str, str]:
    said = {
        "clientUserId": user.client_user_id,
        "email": user.email,
        "managedAppleId": user.managed_apple_id,
    }
    return {name: value for name, value in said.items() if value}
