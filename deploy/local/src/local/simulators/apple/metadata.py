"""Names, icons and bundle ids of what a library owns: Apple's three services for them."""

from collections.abc import Iterable, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import Response

from local.simulators.apple.bodies import answer, ok
from local.simulators.apple.errors import AppleError
from local.simulators.apple.library import Library
from local.simulators.apple.titles import Title
from local.simulators.apple.world import World

LOOKUP_PAGE = "mdm-lockup"  # Apple's own spelling
LONGEST_JWT_SECONDS = 15_777_000
WITH_TOKEN = "stoken-authenticated-"  # noqa: S105 - the beginning of a path
TOKEN_COOKIE = "itvt"  # noqa: S105 - a cookie's name


class Unauthorized(Exception):
    """The metadata service refuses; the message says why."""


class Metadata:
    """Tells a title only in the storefronts that sell it; a custom one only to a library that owns it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def lookup(self, request: Request) -> Response:
        """Answer `contentMetadataLookup`: HTTP 200 whatever happens, and no result where there is no access."""
        query = request.query_params
        found = []
        if query.get("p") == LOOKUP_PAGE:
            library = self._library(request)
            found = self._find(_ids(query, "id"), query.get("cc", "us"), library)
        results = {title.adam_id: title.lookup_row() for title in found}
        return ok({"results": results, "version": 2, "isAuthenticated": False, "meta": {}})

    async def itunes(self, request: Request) -> Response:
        """Answer the public lookup, which knows no custom app and takes the US store unless told otherwise."""
        query = request.query_params
        found = self._find(_ids(query, "id"), query.get("country", "us"), None)
        rows = [title.itunes_row() for title in found if not title.custom]
        return ok({"resultCount": len(rows), "results": rows})

    async def catalog(self, request: Request) -> Response:
        """Answer the metadata service for organizations: a developer's JWT, and for what is owned the token too.

        Ids that the storefront does not know are simply missing.
        """
        resource = request.path_params["resource"]
        library = self._library(request)
        try:
            self._check_developer(request.headers.get("authorization", ""))
            _check_owner(resource, library)
        except Unauthorized as error:
            return answer(401, {"errors": [_error("40101", "401", "Unauthorized", str(error))]})
        kind, _, one = resource.removeprefix(WITH_TOKEN).partition("/")
        if kind not in {"apps", "books", "purchases"}:
            return answer(404, {"errors": [_error("40400", "404", "Not Found", resource)]})
        names = ("ids[apps]", "ids[books]") if kind == "purchases" else ("ids",)
        ids = [one] if one else [each for name in names for each in _ids(request.query_params, name)]
        titles = self._find(ids, request.path_params["storefront"], library)
        wanted = {"apps": {False}, "books": {True}, "purchases": {False, True}}[kind]
        return ok({"data": [title.catalog_row() for title in titles if title.is_book in wanted]})

    def _find(self, ids: Iterable[str], country: str, library: Library | None) -> list[Title]:
        owned = set() if library is None else {key.adam_id for key in library.assets}
        titles = (self._world.titles.get(each) for each in ids)
        return [
            title
            for title in titles
            if title is not None and (title.adam_id in owned or not title.custom) and title.sold_in(country)
        ]

    def _library(self, request: Request) -> Library | None:
        try:
            return self._world.valid_token(request.cookies.get(TOKEN_COOKIE, "")).library
        except AppleError:
            return None

    def _check_developer(self, authorization: str) -> None:
        """Check the JWT of an MDM vendor. Raises `Unauthorized`."""
        scheme, _, text = authorization.partition(" ")
        if scheme != "Bearer" or not text:
            raise Unauthorized("a developer token is required")
        try:
            token = jwt.decode(text, self._key_of, algorithms=["ES256"])
        except (JoseError, ValueError) as error:
            raise Unauthorized(f"the developer token is not valid: {error}") from None
        issued, expires = token.claims.get("iat"), token.claims.get("exp")
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise Unauthorized("the developer token lacks iat or exp")
        if token.header.get("kid") and f"{token.claims.get('iss')} {token.header['kid']}" not in (
            self._world.developer_keys
        ):
            raise Unauthorized("the developer token names another team")
        if expires - issued > LONGEST_JWT_SECONDS:
            raise Unauthorized("the developer token lives too long")
        if not issued - 60 <= self._world.clock.seconds() < expires:
            raise Unauthorized("the developer token has expired")

    def _key_of(self, token: Any) -> ECKey:
        """Find the key that a token's header names. Raises ValueError."""
        kid = token.headers().get("kid")
        for name, pem in self._world.developer_keys.items():
            if name.partition(" ")[2] == kid:
                return ECKey.import_key(pem)
        raise ValueError("the key is unknown")


def _check_owner(resource: str, library: Library | None) -> None:
    """Raise `Unauthorized` where what is owned is asked for without a content token."""
    if resource.startswith(WITH_TOKEN) and library is None:
        raise Unauthorized("the cookie itvt holds no valid content token")


def _ids(query: Mapping[str, str], name: str) -> list[str]:
    return [each for each in query.get(name, "").split(",") if each]


def _error(code: str, status: str, title: str, detail: str) -> dict[str, str]:
    return {"code": code, "status": status, "title": title, "detail": detail}
