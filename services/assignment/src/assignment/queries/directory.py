"""Questions about the organisation: users, devices, groups, assets."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from assignment.queries.pages import Part, Row, read_one, read_part
from assignment.tables import assets, device_group_members, device_groups, devices, users
from shared.database import Database
from shared.filters import where


async def list_users(database: Database, part: Part) -> Sequence[Row]:
    """Return users in the order in which they were made."""
    async with database.reading() as tx:
        return await read_part(tx, sa.select(users), part, by=users.c.id)


async def read_user(database: Database, user_id: UUID) -> Row | None:
    """Return one user."""
    async with database.reading() as tx:
        return await read_one(tx, sa.select(users).where(users.c.id == user_id))


async def list_devices(
    database: Database,
    part: Part,
    *,
    serial_number: str | None = None,
    platform: str | None = None,
    enrolled: bool | None = None,
) -> Sequence[Row]:
    """Return devices, those that are no longer enrolled among them unless `enrolled` says otherwise."""
    filters = {
        devices.c.serial_number: serial_number,
        devices.c.platform: platform,
        devices.c.enrolled: enrolled,
    }
    async with database.reading() as tx:
        return await read_part(tx, where(sa.select(devices), filters), part, by=devices.c.id)


async def read_device(database: Database, device_id: UUID) -> Row | None:
    """Return one device."""
    async with database.reading() as tx:
        return await read_one(tx, sa.select(devices).where(devices.c.id == device_id))


async def unknown_devices(database: Database, device_ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these ids are no device's."""
    async with database.reading() as tx:
        found = await tx.sql.execute(sa.select(devices.c.id).where(devices.c.id.in_(device_ids)))
        return set(device_ids) - set(found.scalars())


async def list_groups(database: Database, part: Part) -> Sequence[Row]:
    """Return device groups in the order in which they were made."""
    async with database.reading() as tx:
        return await read_part(tx, sa.select(device_groups), part, by=device_groups.c.id)


async def read_group(database: Database, group_id: UUID) -> Row | None:
    """Return one device group."""
    async with database.reading() as tx:
        return await read_one(tx, sa.select(device_groups).where(device_groups.c.id == group_id))


async def list_members(database: Database, group_id: UUID, part: Part) -> Sequence[Row]:
    """Return the members of a device group."""
    member = device_group_members.c
    query = (
        sa.select(member.device_id, devices.c.serial_number, devices.c.enrolled, member.added_at)
        .join(devices, devices.c.id == member.device_id)
        .where(member.group_id == group_id)
    )
    async with database.reading() as tx:
        return await read_part(tx, query, part, by=member.device_id)


async def list_assets(database: Database, part: Part, *, kind: str | None = None) -> Sequence[Row]:
    """Return assets."""
    async with database.reading() as tx:
        query = where(sa.select(assets), {assets.c.kind: kind})
        return await read_part(tx, query, part, by=assets.c.id)


async def read_asset(database: Database, asset_id: UUID) -> Row | None:
    """Return one asset."""
    async with database.reading() as tx:
        return await read_one(tx, sa.select(assets).where(assets.c.id == asset_id))
