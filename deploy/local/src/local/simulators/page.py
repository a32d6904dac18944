"""The page of an admin door: what is in a simulator, its last requests, and a form for each thing it can be asked."""

from importlib import resources

from fastapi import FastAPI
from fastapi.responses import HTMLResponse


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`. It needs nothing from outside.

    It draws its forms from the app's own OpenAPI document, and goes on showing what is in the simulator and the
    last requests, where the app has a route for it: `/state` or its like, and `/requests`.
    """
    html = (resources.files("local.simulators") / "page.html").read_text("utf-8")

    async def page() -> HTMLResponse:
        return HTMLResponse(html)

    app.add_api_route("/", page, include_in_schema=False)
