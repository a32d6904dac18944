"""Free TCP ports on the loopback address."""

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the ports that the system lends to outgoing connections (from 32768 on Linux, from 49152 elsewhere):
# else one of those could take a server's port while the server is down for a moment.
_RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on now.

    They are drawn at random, so that two who look at the same time hardly ever find the same one.
    """
    found: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise OSError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")


def free_port() -> int:
    """Return one port that nobody listens on now."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Say whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: a port whose former connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
