"""Names say what a thing is, secrets have no defaults, and no route is open by accident."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from shared.web import open_routes

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared/src", "services", "deploy/local/src", "bench", "tests")
PACKAGES = ("shared", "assignment", "licensing", "invitation", "mdm_push")
SERVICES = PACKAGES[1:]

EMPTY_WORDS = {"util", "utils", "helper", "helpers", "common", "manager", "data", "info", "misc"}
SECRET_WORDS = {"secret", "password", "token", "key", "credentials"}
DOORS = {"licensing": ("/apple/notifications/",), "mdm_push": ("/mdm/",)}
"""Where outside parties come in with a proof of their own."""


def words(name: str) -> set[str]:
    """Return the words of a name in lower case, however they are joined."""
    return {word.lower() for word in re.findall(r"[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", name)}


def named() -> Iterator[tuple[str, str]]:
    """Return where each module and class stands, and what it is called."""
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        place = str(path.relative_to(ROOT))
        yield place, path.parent.name if path.stem == "__init__" else path.stem
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield f"{place}:{node.lineno}", node.name


def settings_classes() -> list[type[BaseSettings]]:
    modules = [importlib.import_module(name) for package in PACKAGES if exists(name := f"{package}.settings")]
    found = (kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass))
    return sorted({kind for kind in found if issubclass(kind, BaseSettings)} - {BaseSettings}, key=str)


def exists(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None and find_spec(module) is not None


def is_secret(name: str, field: FieldInfo) -> bool:
    is_file = name.endswith("_file")  # where a secret stands is none
    return "SecretStr" in str(field.annotation) or (not is_file and bool(words(name) & SECRET_WORDS))


def routers(module: ModuleType) -> Iterator[APIRouter]:
    """Return the routers of a way in; one that is made from its parts is made of nothing, to be listed only."""
    for value in vars(module).values():
        if isinstance(value, APIRouter):
            yield value
        elif inspect.isfunction(value) and value.__module__ == module.__name__:
            signature = inspect.signature(value, eval_str=True)
            if signature.return_annotation is APIRouter:
                yield value(**dict.fromkeys(signature.parameters))


def test_names_are_not_empty_words() -> None:
    assert {place: name for place, name in named() if words(name) & EMPTY_WORDS} == {}


@pytest.mark.parametrize("kind", settings_classes(), ids=lambda kind: kind.__name__)
def test_no_secret_has_a_default(kind: type[BaseSettings]) -> None:
    secrets = {name: field for name, field in kind.model_fields.items() if is_secret(name, field)}
    assert secrets
    assert {
        name for name, field in secrets.items() if not (field.is_required() or field.default is None)
    } == set()


@pytest.mark.parametrize("kind", settings_classes(), ids=lambda kind: kind.__name__)
def test_what_is_called_like_a_secret_is_kept_as_one(kind: type[BaseSettings]) -> None:
    secrets = {name: field for name, field in kind.model_fields.items() if is_secret(name, field)}
    assert {
        name for name, field in secrets.items() if SecretStr.__name__ not in str(field.annotation)
    } == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_declares_a_scope_or_is_a_named_door(service: str) -> None:
    rooms = [name for room in ("api", "checkin") if exists(name := f"{service}.{room}")]
    app = FastAPI(openapi_url=None)
    for router in (router for room in rooms for router in routers(importlib.import_module(room))):
        app.include_router(router)
    opened = {path for path in open_routes(app) if not path.startswith(DOORS.get(service, ()))}
    assert opened == set()
    assert app.routes or not rooms
