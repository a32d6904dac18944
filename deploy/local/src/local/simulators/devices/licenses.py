"""Asks whoever plays Apple whether a device or its user holds a license, as its App Store would.

Asked at a URL, `GET ?adam_id=` with `serial_number=` or `account=` answers 404 where Apple knows no such license, else
200. A JSON body of `{"held_seconds": n}` tells since when; without it the age counts from the first time it was seen.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2

from local.simulators.devices.trouble import ServerTroubleError


@dataclass(frozen=True, slots=True)
class Question:
    """Whether this device (`serial`), or whoever is signed in with this Apple Account, holds a license of the app."""

    adam_id: int
    serial: str | None = None
    account: str | None = None


LicenseCheck = Callable[
    [Question], Awaitable[float | None]
]  # seconds since Apple gave it, None: there is none


@dataclass(frozen=True, slots=True)
class License:
    """A license that the store found, and how old it is."""

    of_device: bool
    held_seconds: float


class AppStore:
    """Looks for the license that a device may use: its own first, then that of the account signed in."""

    def __init__(self, check: LicenseCheck) -> None:
        self._check = check

    async def find(self, adam_id: int, *, serial: str | None, account: str | None) -> License | None:
        """Ask; None for a serial or an account asks nothing of it. Raises `ServerTroubleError`."""
        questions = [Question(adam_id, serial=serial)] if serial is not None else []
        if account is not None:
            questions.append(Question(adam_id, account=account))
        for question in questions:
            held_seconds = await self._check(question)
            if held_seconds is not None:
                return License(of_device=question.serial is not None, held_seconds=held_seconds)
        return None


def license_check(
    setting: LicenseCheck | str | None, client: httpx2.AsyncClient, *, clock: Callable[[], float]
) -> LicenseCheck:
    """Make the question from the setting: a function, a URL, or none (then every license is known, for ever)."""
    if setting is None:
        return _always
    if not isinstance(setting, str):
        return setting
    return _Remote(setting, client, clock).ask


class _Remote:
    def __init__(self, url: str, client: httpx2.AsyncClient, clock: Callable[[], float]) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._seen_at: dict[Question, float] = {}

    async def ask(self, question: Question) -> float | None:
        """Raise `ServerTroubleError` when nobody answers: the device tries again later."""
        who = {"serial_number": question.serial, "account": question.account}
        asked = {"adam_id": str(question.adam_id)} | {k: v for k, v in who.items() if v is not None}
        try:
            response = await self._client.get(self._url, params=asked)
        except httpx2.TransportError as failure:
            raise ServerTroubleError(f"license check: {type(failure).__name__}") from failure
        if response.status_code == httpx2.codes.NOT_FOUND:
            self._seen_at.pop(question, None)
            return None
        if not response.is_success:
            raise ServerTroubleError(f"license check: HTTP {response.status_code}")
        said, now = _held_seconds(response), self._clock()
        return now - self._seen_at.setdefault(question, now) if said is None else said


def _held_seconds(response: httpx2.Response) -> float | None:
    try:
        return float(json.loads(response.content)["held_seconds"])
    except (ValueError, TypeError, KeyError):
        return None


async def _always(question: Question) -> float | None:
    """Grant a device's; an account's too."""
    del question
    return float("inf")
