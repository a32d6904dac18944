"""A tiny Apple for the people's tests: invitations by code, and the page that their links open."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/WebObjects/MZFinance.woa/wa/associateVPPUserWithITSAccount"


@dataclass
class TinyApple:
    """`joined` maps codes to accounts; `troubles` go out first, one per request."""

    codes: set[str] = field(default_factory=set)
    joined: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    troubles: list[int] = field(default_factory=list)

    def invite(self, code: str) -> str:
        """Make an invitation and return its link, which names the real Apple's host."""
        self.codes.add(code)
        return f"https://buy.itunes.apple.com{PATH}?inviteCode={code}&mt=8"

    def app(self) -> Starlette:
        return Starlette(routes=[Route(PATH, self.page, methods=["GET", "POST"])])

    async def page(self, request: Request) -> Response:
        code = request.query_params["inviteCode"]
        self.asked.append(f"{request.method} {code}")
        if self.troubles:
            return Response(status_code=self.troubles.pop(0))
        if code not in self.codes or code in self.joined:
            return Response(status_code=404)
        if request.method == "POST":
            [account] = parse_qs((await request.body()).decode())["account"]
            if account in self.joined.values():
                return Response(status_code=409)
            self.joined[code] = account
        return Response()
