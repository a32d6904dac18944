"""Admin routes of what people do in Apple's portal: libraries, tokens, purchases, and who claims a library."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, HTTPException

from local.simulators.apple.admin.bodies import (
    AssetListing,
    Claim,
    NewLibrary,
    NewToken,
    Pair,
    Password,
    Purchase,
    Refund,
    Transfer,
    Unlimited,
)
from local.simulators.apple.assets import Asset
from local.simulators.apple.library import Library
from local.simulators.apple.portal import Portal
from local.simulators.apple.world import World


class Shop:
    """Every answer about an asset is Apple's own row of it."""

    def __init__(self, world: World, portal: Portal) -> None:
        self._world = world
        self._portal = portal

    def router(self) -> APIRouter:
        """Make the routes; their table stands here."""
        router = APIRouter()
        for method, path, endpoint in (
            ("POST", "/libraries", self.open_library),
            ("POST", "/libraries/{uid}/tokens", self.issue_token),
            ("DELETE", "/libraries/{uid}/tokens", self.revoke_tokens),
            ("POST", "/libraries/{uid}/tokens/expire", self.expire_tokens),
            ("POST", "/passwords", self.change_password),
            ("POST", "/libraries/{uid}/assets", self.list_asset),
            ("POST", "/libraries/{uid}/purchases", self.buy),
            ("POST", "/libraries/{uid}/refunds", self.refund),
            ("POST", "/libraries/{uid}/transfers", self.transfer),
            ("POST", "/libraries/{uid}/unlimited", self.set_unlimited),
            ("PUT", "/libraries/{uid}/mdm-info", self.take_over),
            ("DELETE", "/libraries/{uid}/mdm-info", self.forget_claim),
        ):
            router.add_api_route(path, endpoint, methods=[method])
        return router

    async def open_library(self, body: NewLibrary) -> dict[str, str]:
        """Open a library and answer its `uid` and the text of a .vpptoken file."""
        library = self._portal.open_library(
            Library(
                body.uid or "",
                body.country.upper(),
                body.platform,
                body.location_name,
                self._world.new_id(),
                managed_accounts=body.managed_accounts,
                accounts_without_terms=body.accounts_without_terms,
                client_context=body.client_context,
            ),
            body.users,
        )
        for listing in body.assets:
            self._list(library, listing)
        token = self._world.issue_token(library, organization=body.organization, account=body.account)
        return {"uid": library.uid, "token": token.text}

    async def issue_token(self, uid: str, body: NewToken) -> dict[str, str]:
        """Download another token of the library; the former ones stay valid unless a knob says otherwise."""
        token = self._world.issue_token(
            find_library(self._world, uid),
            organization=body.organization,
            life=timedelta(days=body.expires_in_days),
            account=body.account,
            rights=body.rights,
        )
        return {"uid": uid, "token": token.text}

    async def revoke_tokens(self, uid: str) -> None:
        """Every token of the library issued so far answers 9625 from now on."""
        self._world.revoke_tokens(find_library(self._world, uid))

    async def expire_tokens(self, uid: str) -> None:
        """Every token of the library issued so far answers 9621 from now on."""
        library = find_library(self._world, uid)
        for token in self._world.tokens.values():
            if token.library is library:
                token.expires_at = self._world.clock.now().replace(microsecond=0)

    async def change_password(self, body: Password) -> dict[str, int]:
        """Every token that this account downloaded answers 9625 from now on; answers how many."""
        tokens = [token for token in self._world.tokens.values() if token.account == body.account]
        for token in tokens:
            token.revoked = True
        return {"tokens": len(tokens)}

    async def list_asset(self, uid: str, body: AssetListing) -> dict[str, Any]:
        """Buy an asset that the library may not have had until now, and answer it."""
        library = find_library(self._world, uid)
        self._list(library, body)
        return library.assets[body.key()].wire()

    async def buy(self, uid: str, body: Purchase) -> dict[str, Any]:
        """Buy more licenses of an asset and answer it."""
        library, asset = self._owned(uid, body)
        self._portal.buy(library, asset, body.count)
        return asset.wire()

    async def refund(self, uid: str, body: Refund) -> dict[str, Any]:
        """Give licenses back and answer the asset; 409 where `assigned` forbids it."""
        library, asset = self._owned(uid, body)
        self._portal.refund(library, asset.key, body.count, assigned=body.assigned)
        return asset.wire()

    async def transfer(self, uid: str, body: Transfer) -> dict[str, Any]:
        """Move free licenses to another library and answer the asset left; 409 where too few are free."""
        library, asset = self._owned(uid, body)
        self._portal.transfer(library, find_library(self._world, body.to), asset.key, body.count)
        return asset.wire()

    async def set_unlimited(self, uid: str, body: Unlimited) -> dict[str, Any]:
        """Make an asset unlimited, or no longer, and answer it."""
        library, asset = self._owned(uid, body)
        self._portal.set_unlimited(library, asset, unlimited=body.unlimited)
        return asset.wire()

    async def take_over(self, uid: str, body: Claim) -> None:
        """Overwrite `mdmInfo`, as another server on the same token does."""
        find_library(self._world, uid).mdm_info = body.model_dump()

    async def forget_claim(self, uid: str) -> None:
        """Take `mdmInfo` away: nobody claims the library."""
        find_library(self._world, uid).mdm_info = None

    def _list(self, library: Library, listing: AssetListing) -> None:
        self._world.titles[listing.adam_id] = listing.title()
        self._portal.buy(library, listing.asset(), listing.total)

    def _owned(self, uid: str, pair: Pair) -> tuple[Library, Asset]:
        library = find_library(self._world, uid)
        asset = library.assets.get(pair.key())
        if asset is None:
            raise HTTPException(404, f"the library has no asset {pair.adam_id} {pair.pricing_param}")
        return library, asset


def find_library(world: World, uid: str) -> Library:
    """Find a library; 404 where there is none."""
    library = world.libraries.get(uid)
    if library is None:
        raise HTTPException(404, f"no library {uid}")
    return library
