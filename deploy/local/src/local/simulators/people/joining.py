"""The one thing that people do at Apple: open the link of an invitation, sign in with an account and agree.

The page of the link is opened with GET; a form of one field, `account`, is posted to it. 200 means joined, 404 that the
invitation is not valid (any more), 409 that the account cannot be used. A program has no more to know of Apple.
"""

from urllib.parse import urlsplit

import httpx2

from local.simulators.people.person import Outcome


async def open_link(client: httpx2.AsyncClient, link: str) -> bool:
    """Look at the page. Answers whether it is a valid invitation. Raises `httpx2.HTTPError` where nobody answers."""
    response = await client.get(_way(link))
    return response.is_success


async def join(client: httpx2.AsyncClient, link: str, account: str) -> Outcome:
    """Accept with an account. Raises `httpx2.HTTPError` where nobody answers, or not in these words."""
    response = await client.post(_way(link), data={"account": account})
    match response.status_code:
        case httpx2.codes.OK:
            return Outcome.JOINED
        case httpx2.codes.NOT_FOUND:
            return Outcome.GONE
        case httpx2.codes.CONFLICT:
            return Outcome.REFUSED
        case _:
            response.raise_for_status()
            raise httpx2.HTTPError(f"HTTP {response.status_code}")


def _way(link: str) -> str:
    """Answer the path and the query alone: the client says where they are asked."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"
