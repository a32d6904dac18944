import json

import pytest

from docs import openapi


@pytest.mark.parametrize("service", openapi.SERVICES)
def test_the_openapi_document_is_what_the_routers_say(service: str) -> None:
    """`make openapi` writes it anew."""
    written = json.loads((openapi.HERE / f"{service}.json").read_text())
    assert written == json.loads(json.dumps(openapi.document(service)))


@pytest.mark.parametrize("service", openapi.SERVICES)
def test_every_route_says_what_it_does(service: str) -> None:
    silent = [
        f"{method} {path}"
        for path, methods in openapi.document(service)["paths"].items()
        for method, operation in methods.items()
        if not operation.get("description")
    ]
    assert silent == []
