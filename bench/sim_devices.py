"""`sim-devices-memory`, `sim-devices-enroll`: ten thousand simulated devices in one process, and how fast they enroll.

They enroll at a server that says yes to everything, in a process of its own, and sign each message; the push service is
in the fleet's process, as in the box. Memory is what the fleet's process holds, all that it imports included.
"""

import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from bench.figures import Figure, Size
from bench.machine import resident_megabytes
from local.simulators.apns import ApnsSettings, ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices import DeviceFleet, FleetSettings

NAMES = ("sim-devices-memory", "sim-devices-enroll")
DEVICES = 10_000
MEGABYTES = 300.0  # what the fleet may hold
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def measure(size: Size) -> list[Figure]:
    """Enroll a fleet in a process of its own and return what it held and how fast it was."""
    count = size.of(DEVICES)
    said = await _run(count)
    note = size.note(f"{count} devices, each with a key and a certificate of its own, Mdm-Signature")
    return [
        Figure(NAMES[0], said["megabytes"], "MB", yardstick=MEGABYTES, note=note, less_is_better=True),
        Figure(NAMES[1], count / said["seconds"], "devices/s", note=note),
    ]


async def _run(count: int) -> dict[str, float]:
    """Run this file as the fleet's process. Raises `RuntimeError` where it does not come through."""
    command = (sys.executable, "-m", "bench.sim_devices", str(count))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the fleet's process ended with {process.returncode}")
    said: dict[str, float] = json.loads(output.splitlines()[-1])
    return said


async def _enroll(count: int) -> dict[str, float]:
    authority, topic = Authority.create("Bench"), "com.apple.mgmt.External.bench"
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        certificate, key = authority.issue_server(hosts=["localhost"]).write(folder, "server")
        (folder / "ca.pem").write_bytes(authority.certificate_pem)
        push = ApnsSettings(certificate_file=certificate, key_file=key, client_ca_file=folder / "ca.pem")
        async with _server() as url, ApnsSimulator(push) as apns:
            settings = FleetSettings(
                checkin_url=url, connect_url=url, topic=topic, authority=authority, apns=apns
            )
            async with DeviceFleet(settings) as fleet:
                devices = fleet.create(count)
                began = time.monotonic()
                refused = await fleet.enroll(devices)
                seconds = time.monotonic() - began
                if refused:
                    raise RuntimeError(f"{len(refused)} devices were refused: {refused[0].cause}")
                return {"seconds": seconds, "megabytes": resident_megabytes(os.getpid())}


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """Start the server that says yes, in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a server that did not start ends the wait
    port = await asyncio.to_thread(ours.recv)
    try:
        yield f"http://127.0.0.1:{port}/mdm"
    finally:
        process.kill()
        await asyncio.to_thread(process.join)


def _serve(pipe: Connection) -> None:
    asyncio.run(_say_yes(pipe))


async def _say_yes(pipe: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(_Yes, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Yes(asyncio.Protocol):
    """Reads requests of a stated length, and answers each with an empty 200."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._bytes = b""

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        while b"\r\n\r\n" in self._bytes:
            head, _, rest = self._bytes.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(rest) < length:
                return
            self._bytes = rest[length:]
            self._transport.write(ANSWER)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_enroll(int(sys.argv[1])))))
