"""Books, on iOS alone: from the Book Store for whoever holds a license, or the organization's own.

Apple: `InstallMedia`, `ManagedMediaList`, `RemoveMedia`. macOS has none of them since 11.
"""

from typing import Any

from local.simulators.devices.commands.reports import (
    DOWNLOAD_FAILED,
    INVALID_MEDIA_TYPE,
    NOT_VALIDATED,
    Report,
    acknowledged,
    error,
    malformed,
)
from local.simulators.devices.commands.world import Arguments, World
from local.simulators.devices.content import INSTALLED, MANAGED, Book, journey
from local.simulators.devices.model import Channel

FACTS = ("Kind", "Version", "Author", "Title")


def install_media(channel: Channel, command: Arguments, world: World) -> Report:
    """Install a book; the same id replaces the older copy."""
    if command.get("MediaType") != "Book":
        return error(INVALID_MEDIA_TYPE, "The media type is not known.", RejectionReason="WrongMediaType")
    if ("iTunesStoreID" in command) == ("MediaURL" in command):
        return malformed("exactly one of iTunesStoreID and MediaURL")
    if "MediaURL" in command and "PersistentID" not in command:
        return malformed("a MediaURL needs a PersistentID")
    refused = _refusal(channel, command, world)
    if refused is not None:
        return refused
    book = Book(
        journey=_way(command, world),
        store_id=command.get("iTunesStoreID"),
        persistent_id=command.get("PersistentID"),
        facts={key: str(command[key]) for key in FACTS if key in command},
    )
    _forget(channel, book.store_id, book.persistent_id)
    channel.device.books.append(book)
    return acknowledged(MediaType="Book", State=book.journey[0][0], **_ids(book))


def managed_media_list(channel: Channel, command: Arguments, world: World) -> Report:
    """List the books; `Failed` is told once."""
    del command
    device = channel.device
    listed = [{**_ids(book), "State": book.status(world.now), **book.facts} for book in device.books]
    device.books = [book for book in device.books if book.status(world.now) != "Failed"]
    return acknowledged(Books=listed)


def remove_media(channel: Channel, command: Arguments, world: World) -> Report:
    """Remove a book; its store id is a string here. Acknowledged also where there is no such book."""
    del world
    if command.get("MediaType") != "Book":
        return error(INVALID_MEDIA_TYPE, "The media type is not known.")
    store_id = command.get("iTunesStoreID", "")
    _forget(channel, int(store_id) if store_id.isdecimal() else None, command.get("PersistentID"))
    return acknowledged()


def _refusal(channel: Channel, command: Arguments, world: World) -> Report | None:
    """Report why this book cannot come, None where it can. A book's license is always a person's."""
    if "MediaURL" in command:
        if channel.device.traits.shared:
            reason = "EnterpriseBooksNotSupportedInMultiUser"
            return error(NOT_VALIDATED, "The book is not for a Shared iPad.", RejectionReason=reason)
        if world.package is None or world.package.fault is not None:
            return error(DOWNLOAD_FAILED, "The download failed.", RejectionReason="DownloadInvalid")
        return None
    license_ = world.license
    if license_ is None or license_.of_device or license_.held_seconds < world.settings.license_lag_seconds:
        return error(NOT_VALIDATED, "The book was not purchased.", RejectionReason="PurchaseNotFound")
    return None


def _way(command: Arguments, world: World) -> Any:
    knobs = world.settings
    stages = ("Queued", knobs.queued_seconds), ("Installing", knobs.install_seconds)
    return journey(world.now, *stages, end=INSTALLED if "iTunesStoreID" in command else MANAGED)


def _forget(channel: Channel, store_id: int | None, persistent_id: str | None) -> None:
    channel.device.books = [
        book
        for book in channel.device.books
        if (book.store_id is None or book.store_id != store_id)
        and (book.persistent_id is None or book.persistent_id != persistent_id)
    ]


def _ids(book: Book) -> dict[str, int | str]:
    ids: dict[str, int | str | None] = {
        "iTunesStoreID": book.store_id,
        "PersistentID": book.persistent_id,
    }
    return {key: value for key, value in ids.items() if value is not None}
