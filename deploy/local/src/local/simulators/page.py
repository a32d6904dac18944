"""The page of an admin door: what is in a simulator, its last requests, and a form for each thing it can be asked."""

from collections.abc import Sequence
from importlib import resources

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from local.simulators.watch import Exchange, Watch


def add_page(app: FastAPI, watch: Watch | None = None) -> None:
    """Serve the page at `/`, and at `/requests` the last requests that `watch` remembers, if there is one.

    The page needs nothing from outside. It draws its forms from the app's own OpenAPI document, and shows what
    `GET /state` answers where the app has that route.
    """
    html = (resources.files("local.simulators") / "page.html").read_text("utf-8")

    async def page() -> HTMLResponse:
        return HTMLResponse(html)

    app.add_api_route("/", page, include_in_schema=False)
    if watch is None:
        return

    async def requests(after: int = 0) -> Sequence[Exchange]:
        """Show the last requests, oldest first, those after one's number."""
        return watch.after(after)

    app.add_api_route("/requests", requests)
