"""What a person does with an invitation: open the link, sign in with an Apple Account, accept the terms."""

import html
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from local.simulators.apple.library import Library
from local.simulators.apple.notify import Notifier
from local.simulators.apple.users import User, UserRefused, UserStatus
from local.simulators.apple.working import check_free, tie
from local.simulators.apple.world import World

PAGE = """<!doctype html><title>Join</title><p>{sentence}</p>
<form method=post><input name=account placeholder="Apple Account"><button>Agree</button></form>"""
DAY_SECONDS = 86_400


class InvitationGone(Exception):
    """No invitation has this code, or not any more."""


class Invitations:
    """Whoever has the code may accept, with any account: Apple does not compare mail addresses."""

    def __init__(self, world: World, notifier: Notifier) -> None:
        self._world = world
        self._notifier = notifier

    def find(self, code: str) -> tuple[Library, User]:
        """Find whom a code invites. Raises `InvitationGone` for one that is unknown, answered or expired."""
        for library in self._world.libraries.values():
            user = library.users.invited(code)
            if user is not None and user.status is UserStatus.REGISTERED and user.invite_code == code:
                if self._expired(user):
                    break
                return library, user
        raise InvitationGone

    def accept(self, code: str, account: str) -> tuple[Library, User]:
        """Tie an account to whom the code invites, tell it, and answer the record that is Associated now.

        Raises `InvitationGone`; `UserRefused` 9641 for the account of another user, 9642 for one whose owner has
        not agreed to the terms.
        """
        library, user = self.find(code)
        check_free(account, library)  # before the version moves
        tied = tie(user, account, self._world.begin(library))
        self._notifier.tell_associated(library, tied)
        return library, tied

    async def page(self, request: Request) -> Response:
        """Answer the link of an invitation: a form, and what became of it. The form's field is `account`."""
        code = request.query_params.get("inviteCode", "")
        try:
            if request.method == "POST":
                account = dict(parse_qsl((await request.body()).decode(errors="replace"))).get("account", "")
                self.accept(code, account)
                return _page(200, f"{account} has joined.")
            library, _ = self.find(code)
        except InvitationGone:
            return _page(404, "This invitation is not valid.")
        except UserRefused as refused:
            return _page(409, f"This Apple Account cannot be used ({refused.number}).")
        return _page(200, f"{library.location_name} invites you.")

    def _expired(self, user: User) -> bool:
        life = self._world.knobs.invite_life_days
        return life is not None and user.invited_at + life * DAY_SECONDS <= self._world.clock.seconds()


def _page(status: int, sentence: str) -> Response:
    return HTMLResponse(PAGE.format(sentence=html.escape(sentence)), status)
