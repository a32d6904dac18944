"""The command line that all four services share: `<service> serve | migrate | replay`.

Exit codes: 0 done, 1 failed, 2 refused because of how it was called or of what the environment lacks.
"""

import argparse
import sys
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from typing import Any

import structlog
import uvloop

from shared.errors import SettingsError
from shared.lifecycle import Role

log = structlog.get_logger(__name__)

REFUSED = 2


class Replay(StrEnum):
    """What is done again: rows whose answer is awaited (under new versions, after a restore), or what was parked."""

    OPEN = "open"
    PARKED = "parked"
    RESTORED = "restored"


def run_command(
    name: str,
    *,
    serve: Callable[[Role], Coroutine[Any, Any, int]],
    migrate: Callable[[], Coroutine[Any, Any, None]],
    replay: Callable[[Replay], Coroutine[Any, Any, None]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Do what the command line says and return the exit code; without `arguments`, those of the process."""
    said = _parser(name).parse_args(arguments)
    try:
        match said.verb:
            case "serve":
                return uvloop.run(serve(said.role))
            case "migrate":
                uvloop.run(migrate())
            case "replay":
                uvloop.run(replay(said.what))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except KeyboardInterrupt:
        return 1
    except Exception:
        log.exception("command failed", verb=said.verb)
        return 1
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="serve | migrate | replay")
    serve = verbs.add_parser("serve", help="answer HTTP, work in the background, or both")
    serve.add_argument("--role", type=Role, choices=[*Role], default=Role.ALL, metavar="api|worker|all")
    verbs.add_parser("migrate", help="bring the database and the topics to what this build needs")
    replay = verbs.add_parser(
        "replay", help="ask again for open rows (after a restore too), or for what was parked"
    )
    what = replay.add_mutually_exclusive_group(required=True)
    what.add_argument("--open", dest="what", action="store_const", const=Replay.OPEN)
    what.add_argument("--parked", dest="what", action="store_const", const=Replay.PARKED)
    what.add_argument("--restored", dest="what", action="store_const", const=Replay.RESTORED)
    return parser
