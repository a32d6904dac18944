"""HTTP: devices, device groups and assets."""

from collections import Counter
from itertools import islice
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from assignment.api.paging import page, part_of
from assignment.handlers import groups
from assignment.handlers.groups import Membership
from assignment.handlers.targets import printable
from assignment.queries import directory
from assignment.schemas.directory import (
    AssetBody,
    DeviceBody,
    DeviceGroupBody,
    MemberBody,
    Members,
    MembersChanged,
    NewDeviceGroup,
    RefusedMember,
)
from assignment.schemas.words import MOST_LISTED, SerialWanted
from shared.auth import Caller, requires
from shared.database import Database, Transaction
from shared.errors import NotFound
from shared.events.words import AssetKind, Platform
from shared.web import Answer, Cursor, IdempotencyKey, Limit, Page, answer_once

_READ, _WRITE = [requires("directory:read")], [requires("directory:write")]
_MEMBERS = "/device-groups/{group_id}/members"


def router(database: Database, *, max_targets: int) -> APIRouter:
    """Return the routes under /v1/devices, /v1/device-groups and /v1/assets."""
    routes = APIRouter(prefix="/v1")
    _add_devices(routes, database)
    _add_groups(routes, database)
    _add_members(routes, database)
    _change_members(routes, database, max_targets)
    _add_assets(routes, database)
    return routes


def _add_devices(routes: APIRouter, database: Database) -> None:
    @routes.get("/devices", dependencies=_READ, tags=["devices"], summary="List devices")
    async def list_devices(
        *,
        serial_number: SerialWanted = None,
        platform: Platform | None = None,
        enrolled: bool | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[DeviceBody]:
        """Return the devices that match every filter given."""
        part = part_of(limit, cursor)
        rows = await directory.list_devices(
            database, part, serial_number=serial_number, platform=platform, enrolled=enrolled
        )
        return page(rows, lambda row: DeviceBody(**row), part)

    @routes.get("/devices/{device_id}", dependencies=_READ, tags=["devices"], summary="One device")
    async def read_device(device_id: UUID) -> DeviceBody:
        """Return one device by its enrollment id."""
        row = await directory.read_device(database, device_id)
        if row is None:
            raise NotFound("unknown_device", f"there is no device {device_id}")
        return DeviceBody(**row)


def _add_groups(routes: APIRouter, database: Database) -> None:
    @routes.post(
        "/device-groups",
        status_code=201,
        response_model=DeviceGroupBody,
        tags=["device groups"],
        summary="Make a device group",
    )
    async def create(
        request: Request,
        new: NewDeviceGroup,
        caller: Annotated[Caller, requires("directory:write")],
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Make a device group without members."""

        async def work(tx: Transaction) -> Answer:
            group_id = await groups.create_group(tx, new.name)
            body = DeviceGroupBody(id=group_id, name=new.name, member_count=0, created_at=tx.now)
            return Answer(201, body)

        return await answer_once(
            database,
            caller=caller,
            route="POST /v1/device-groups",
            key=idempotency_key,
            body=await request.body(),
            work=work,
        )

    @routes.get("/device-groups", dependencies=_READ, tags=["device groups"], summary="List device groups")
    async def list_groups(limit: Limit = 100, cursor: Cursor = None) -> Page[DeviceGroupBody]:
        """Return device groups in the order in which they were made."""
        part = part_of(limit, cursor)
        rows = await directory.list_groups(database, part)
        return page(rows, lambda row: DeviceGroupBody(**row), part)

    @routes.get(
        "/device-groups/{group_id}", dependencies=_READ, tags=["device groups"], summary="One device group"
    )
    async def read_group(group_id: UUID) -> DeviceGroupBody:
        """Return one device group."""
        row = await directory.read_group(database, group_id)
        if row is None:
            raise NotFound("unknown_device_group", f"there is no device group {group_id}")
        return DeviceGroupBody(**row)


def _add_members(routes: APIRouter, database: Database) -> None:
    @routes.get(_MEMBERS, dependencies=_READ, tags=["device groups"], summary="List the members of a group")
    async def list_members(group_id: UUID, limit: Limit = 100, cursor: Cursor = None) -> Page[MemberBody]:
        """Return the members of a device group."""
        part = part_of(limit, cursor)
        if await directory.read_group(database, group_id) is None:
            raise NotFound("unknown_device_group", f"there is no device group {group_id}")
        rows = await directory.list_members(database, group_id, part)
        return page(rows, lambda row: MemberBody(**row), part, by="device_id")


def _change_members(routes: APIRouter, database: Database, max_targets: int) -> None:
    @routes.post(_MEMBERS, dependencies=_WRITE, tags=["device groups"], summary="Add members")
    async def add_members(group_id: UUID, members: Members) -> MembersChanged:
        """Let devices join; whatever the group was assigned is requested for them.

        Up to 10,000 entitlements are requested before the answer, what goes beyond follows (`unfolding`).
        """
        async with database.transaction() as tx:
            done = await groups.add_members(tx, group_id, members.serial_numbers, max_targets=max_targets)
        return _changed(done, added=done.moved)

    @routes.post(f"{_MEMBERS}/remove", dependencies=_WRITE, tags=["device groups"], summary="Remove members")
    async def remove_members(group_id: UUID, members: Members) -> MembersChanged:
        """Let devices leave; whatever only the group had given them is revoked.

        Up to 10,000 entitlements are revoked before the answer, what goes beyond follows (`unfolding`).
        """
        async with database.transaction() as tx:
            done = await groups.remove_members(tx, group_id, members.serial_numbers)
        return _changed(done, removed=done.moved)


def _add_assets(routes: APIRouter, database: Database) -> None:
    @routes.get("/assets", dependencies=_READ, tags=["assets"], summary="List assets")
    async def list_assets(
        kind: AssetKind | None = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[AssetBody]:
        """Return assets; VPP ones appear when their content token was installed (R4)."""
        part = part_of(limit, cursor)
        rows = await directory.list_assets(database, part, kind=kind)
        return page(rows, lambda row: AssetBody(**row), part)

    @routes.get("/assets/{asset_id}", dependencies=_READ, tags=["assets"], summary="One asset")
    async def read_asset(asset_id: UUID) -> AssetBody:
        """Return one asset and its counts by library."""
        row = await directory.read_asset(database, asset_id)
        if row is None:
            raise NotFound("unknown_asset", f"there is no asset {asset_id}")
        return AssetBody(**row)


def _changed(done: Membership, **moved: int) -> MembersChanged:
    shown = islice(done.refused.items(), MOST_LISTED)
    return MembersChanged(
        **moved,
        unchanged=done.unmoved,
        unfolding=done.unfolding,
        refused=Counter(done.refused.values()),
        refusals=[
            RefusedMember(serial_number=printable(serial) or "", refusal=refusal) for serial, refusal in shown
        ],
    )
