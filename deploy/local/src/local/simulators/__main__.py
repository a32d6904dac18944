"""`python -m local.simulators`: starts the box, prints one line of JSON with its URLs, and runs until a signal."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

from local.simulators.apns import DoorKind
from local.simulators.box import DOORS, NAMES, TOPIC, Box, BoxSettings

PORTS = (*DOORS, *(f"{name}-admin" for name in NAMES))
DESCRIPTION = """
Apple's services, devices, an identity provider and a mailbox, simulated on this machine.

    apple     the App and Book Management API (https)
    apns      the push service for device management (HTTP/2, client certificates)
    devices   iPads and Macs that enroll at a server of yours: needs --checkin-url
    identity  an OpenID provider that signs tokens for whoever asks at its admin door
    mailbox   an SMTP server that keeps letters
    people    persons who follow the invitations in their letters: need apple and mailbox

When all are ready one line of JSON is printed: the URLs, and the paths of certificates and keys.
Each has an admin door: open its URL in a browser. SIGTERM or Ctrl-C ends it.
"""


def read_settings(chosen: argparse.Namespace, directory: Path) -> BoxSettings:
    """Make the settings of what was chosen on the command line. Raises `ValueError` where it makes no sense."""
    names = set(chosen.names or ["all"])
    if "all" in names:  # but no people: whether anybody joins is up to whoever asks
        names = names - {"all"} | set(DOORS) | ({"devices"} if chosen.checkin_url else set())
    return BoxSettings(
        names=frozenset(names),
        directory=directory,
        ports={name: getattr(chosen, f"{name}_port".replace("-", "_")) for name in PORTS},
        seed=chosen.seed,
        topic=chosen.topic,
        checkin_url=chosen.checkin_url,
        connect_url=chosen.connect_url,
        server_ca_file=chosen.server_ca_file,
        apns_admin_url=chosen.apns_admin_url,
        apns_door=chosen.apns_door,
        knobs={} if chosen.knobs is None else _knobs(chosen.knobs),
    )


def _knobs(file: Path) -> dict[str, Any]:
    """Read a file of knobs. Raises `ValueError` where it is no TOML."""
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: {error}") from None


def _file(path: str) -> Path:
    """Take a path. Raises `ArgumentTypeError` where there is no file."""
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {path}")
    return Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.simulators",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="name", help="which of them; all unless given")
    add("--directory", type=Path, help="keeps certificates and keys, and the authority from run to run")
    add("--seed", type=int, default=0, help="of all ids, tokens and draws")
    add("--knobs", type=_file, help="a TOML file of knobs to turn, as docs/box/knobs.toml has them all")
    add("--topic", default=TOPIC, help="of the push certificate")
    add("--checkin-url", default="", help="the server that devices enroll at")
    add("--connect-url", default="", help="where they connect, if not at the check-in URL")
    add("--server-ca-file", type=_file, help="whom devices trust; the box's own authority unless given")
    add("--apns-admin-url", default="", help="the push service of devices, if not in this box")
    add(
        "--apns-door",
        choices=get_args(DoorKind),
        default="scripted",
        help="scripted misbehaves in each frame when asked to; fast is for load",
    )
    for name in PORTS:
        add(f"--{name}-port", type=int, default=0, metavar="PORT", help="a free one unless given")
    return parser


async def run(settings: BoxSettings) -> None:
    """Keep the box open until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Box(settings) as box:
        sys.stdout.write(json.dumps(box.cards) + "\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Run the command line."""
    parser = _parser()
    chosen = parser.parse_args()
    folder = (
        tempfile.TemporaryDirectory(prefix="simulators-")
        if chosen.directory is None
        else nullcontext(chosen.directory)
    )
    with folder as directory:
        try:
            settings = read_settings(chosen, Path(directory))
        except ValueError as error:
            parser.error(str(error))
        try:
            asyncio.run(run(settings))
        except (OSError, ValueError) as error:  # a port is taken, a file is not there, a knob is none
            sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
