"""HTTP: the people of the organisation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from assignment.api.paging import page, part_of
from assignment.handlers.people import create_user
from assignment.model import User
from assignment.queries import directory
from assignment.schemas.directory import NewUser, UserBody
from shared.auth import Caller, requires
from shared.database import Database, Transaction
from shared.errors import Invalid, NotFound
from shared.ids import new_id
from shared.web import Answer, Cursor, IdempotencyKey, Limit, Page, answer_once


def router(database: Database) -> APIRouter:
    """Return the routes under /v1/users."""
    routes = APIRouter(prefix="/v1/users", tags=["users"])

    @routes.post("", status_code=201, response_model=UserBody, summary="Make a user")
    async def create(
        request: Request,
        new: NewUser,
        caller: Annotated[Caller, requires("directory:write")],
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Make a user known, to this service and to those that keep a copy."""
        await _check_enrollments(database, new)
        user = User(new_id(), 1, **new.model_dump(), state="active")

        async def work(tx: Transaction) -> Answer:
            await create_user(tx, user)
            return Answer(201, _body(user, tx))

        return await answer_once(
            database,
            caller=caller,
            route="POST /v1/users",
            key=idempotency_key,
            body=await request.body(),
            work=work,
        )

    @routes.get("", dependencies=[requires("directory:read")], summary="List users")
    async def list_users(limit: Limit = 100, cursor: Cursor = None) -> Page[UserBody]:
        """Return users in the order in which they were made."""
        part = part_of(limit, cursor)
        rows = await directory.list_users(database, part)
        return page(rows, lambda row: UserBody(**row), part)

    @routes.get("/{user_id}", dependencies=[requires("directory:read")], summary="One user")
    async def read_user(user_id: UUID) -> UserBody:
        """Return one user."""
        row = await directory.read_user(database, user_id)
        if row is None:
            raise NotFound("unknown_user", f"there is no user {user_id}")
        return UserBody(**row)

    return routes


async def _check_enrollments(database: Database, new: NewUser) -> None:
    if await directory.unknown_devices(database, new.enrollment_ids):
        problem = "names an enrollment that is not known"
        raise Invalid("invalid", "cannot be read: enrollment_ids", fields={"enrollment_ids": problem})


def _body(user: User, tx: Transaction) -> UserBody:
    return UserBody(
        id=user.id,
        version=user.version,
        state=user.state,
        name=user.name,
        mail_address=user.mail_address,
        locale=user.locale,
        managed_apple_id=user.managed_apple_id,
        enrollment_ids=list(user.enrollment_ids),
        created_at=tx.now,
        changed_at=tx.now,
    )
