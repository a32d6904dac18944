"""Reads what a server says in declarative management: synchronization tokens, the list of declarations, a declaration.

Apple: `TokensResponse`, `DeclarationItemsResponse`, `DeclarationBase`. What breaks Apple's limits cannot be read.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from local.simulators.devices.declarative.held import Declaration, DeclarationKind, Validity, reason

LONGEST_DECLARATIONS_TOKEN, LONGEST_NAME = 256, 64  # octets


class UnreadableError(Exception):
    """The server's answer is not what Apple describes."""


def _at_most(octets: int) -> AfterValidator:
    def check(text: str) -> str:
        if not 0 < len(text.encode()) <= octets:
            raise ValueError(f"1 to {octets} octets")
        return text

    return AfterValidator(check)


DeclarationsToken = Annotated[str, _at_most(LONGEST_DECLARATIONS_TOKEN)]
Name = Annotated[str, _at_most(LONGEST_NAME)]


class _Answer(BaseModel):
    """JSON with Apple's names; keys that later versions add are passed over."""

    model_config = ConfigDict(alias_generator=to_pascal, strict=True)


class _SyncTokens(_Answer):
    declarations_token: DeclarationsToken
    timestamp: Annotated[AwareDatetime, Field(strict=False)]


class _Tokens(_Answer):
    sync_tokens: _SyncTokens


class Item(_Answer):
    """One declaration's name and version, as `declaration-items` lists it."""

    identifier: Name
    server_token: Name


class _Declarations(_Answer):
    activations: list[Item]
    assets: list[Item]
    configurations: list[Item]
    management: list[Item]


class Items(_Answer):
    """The answer to `declaration-items`."""

    declarations: _Declarations
    declarations_token: DeclarationsToken

    @property
    def all(self) -> list[tuple[DeclarationKind, Item]]:
        """All of them, with their kinds."""
        said = self.declarations
        return [
            *((DeclarationKind.ACTIVATION, item) for item in said.activations),
            *((DeclarationKind.ASSET, item) for item in said.assets),
            *((DeclarationKind.CONFIGURATION, item) for item in said.configurations),
            *((DeclarationKind.MANAGEMENT, item) for item in said.management),
        ]


class _Declaration(_Answer):
    type: str
    identifier: Name
    server_token: Name
    payload: dict[str, Any]


def read_token(content: bytes) -> str:
    """Read the DeclarationsToken of `SyncTokens`. Raises `UnreadableError`."""
    try:
        return _Tokens.model_validate_json(content).sync_tokens.declarations_token
    except ValidationError as error:
        raise _unreadable(error) from None


def read_items(content: bytes) -> Items:
    """Read the list of declarations. Raises `UnreadableError`."""
    try:
        return Items.model_validate_json(content)
    except ValidationError as error:
        raise _unreadable(error) from None


def read_declaration(content: bytes, kind: DeclarationKind, item: Item) -> Declaration:
    """Read one declaration; what cannot be read, or is another one, is held as invalid."""
    try:
        said = _Declaration.model_validate_json(content)
    except ValidationError as error:
        return _invalid(kind, item, str(_unreadable(error)))
    if said.identifier != item.identifier:
        return _invalid(kind, item, f"its Identifier is {said.identifier}")
    return Declaration(kind, said.identifier, said.server_token, said.type, said.payload)


def _invalid(kind: DeclarationKind, item: Item, why: str) -> Declaration:
    reasons = (reason("Error.ConfigurationIsInvalid", "The declaration cannot be read.", Error=why),)
    return Declaration(kind, item.identifier, item.server_token, "", {}, Validity.INVALID, reasons=reasons)


def _unreadable(error: ValidationError) -> UnreadableError:
    first = error.errors(include_url=False)[0]
    return UnreadableError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
