"""How many pushes the simulated APNs takes in a second on one core, through each of its doors."""

import asyncio
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from bench import raw_pushes
from bench.figures import Figure, Size
from local.simulators.apns import ApnsSettings, ApnsSimulator, DoorKind, Push
from local.simulators.authority import Authority

NAMES = ("sim-push-scripted", "sim-push-fast")

_PUSHES = {"scripted": 40_000, "fast": 120_000}
_ROUNDS = 3
_CONNECTIONS = 2
_DEVICES = 1000
_TOPIC = "com.apple.mgmt.External.5f1d6a0e-8c1b-4a52-9d8e-3b1f7c0a9e44"


async def measure(size: Size) -> list[Figure]:
    """Measure both doors; each simulator is a process of its own on one core, the sender has another."""
    with tempfile.TemporaryDirectory() as folder, _on_core(-1):
        _write_certificates(Path(folder))
        return [
            await _measure("scripted", size, Path(folder)),
            await _measure("fast", size, Path(folder)),
        ]


async def _measure(door: DoorKind, size: Size, folder: Path) -> Figure:
    count = size.of(_PUSHES[door])
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "push.pem", folder / "push.key")
    context.set_alpn_protocols(["h2"])
    async with _simulator(door, folder) as simulator:
        port = int(await simulator.ask("port"))
        rounds = [await _round(simulator, port, context, count) for _ in range(_ROUNDS)]
    per_second, per_cpu_second = (statistics.median(values) for values in zip(*rounds, strict=True))
    note = (
        f"{count} pushes to {_DEVICES} devices, {_CONNECTIONS} connections, TLS with client certificates, simulator on "
        f"one core; {per_cpu_second:.0f} per second of its processor time; median of {_ROUNDS}"
    )
    return Figure(f"sim-push-{door}", per_second, "pushes/s", note=size.note(note))


async def _round(
    simulator: "_Simulator", port: int, context: ssl.SSLContext, count: int
) -> tuple[float, float]:
    """Return pushes per second, by the clock and by the simulator's processor time."""
    requests = raw_pushes.blocks([_token(number) for number in range(_DEVICES)], _TOPIC)
    share = count // _CONNECTIONS
    senders = [await raw_pushes.connect(port, context, requests, share) for _ in range(_CONNECTIONS)]
    used, began = float(await simulator.ask("processor")), time.perf_counter()
    for sender in senders:
        sender.start()
    accepted = await asyncio.gather(*[sender.done for sender in senders])
    seconds, used = time.perf_counter() - began, float(await simulator.ask("processor")) - used
    for sender in senders:
        sender.close()
    if sum(accepted) != share * _CONNECTIONS:
        raise RuntimeError(f"only {sum(accepted)} of {count} pushes were accepted")
    return sum(accepted) / seconds, sum(accepted) / used


def _token(number: int) -> str:
    return f"{number:064x}"


def _write_certificates(folder: Path) -> None:
    authority = Authority.create("bench")
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    authority.issue_server(hosts=["localhost"]).write(folder, "server")
    authority.issue_push(topic=_TOPIC).write(folder, "push")


@contextmanager
def _on_core(number: int) -> Iterator[None]:
    """Keep this process on one core, where the system lets it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Simulator:
    """The process, seen from here: it answers a word with a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, word: str) -> str:
        """Return what it says to `port` or `processor` (seconds used so far)."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the simulator was started without pipes")
        self._process.stdin.write(f"{word}\n".encode())
        return (await self._process.stdout.readline()).decode()


@asynccontextmanager
async def _simulator(door: DoorKind, folder: Path) -> AsyncIterator[_Simulator]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __spec__.name,
        door,
        folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield _Simulator(process)
    finally:
        process.terminate()
        await process.wait()


async def _serve(door: DoorKind, folder: Path) -> None:
    """Be the simulator, until standard input ends."""
    settings = ApnsSettings(
        certificate_file=folder / "server.pem",
        key_file=folder / "server.key",
        client_ca_file=folder / "ca.pem",
        door=door,
    )
    async with ApnsSimulator(settings) as simulator:
        simulator.registry.register(
            [_token(number) for number in range(_DEVICES)], topic=_TOPIC, courier="bench"
        )
        simulator.registry.attach("bench", _hear)
        answers = {"port": lambda: simulator.port, "processor": time.process_time}
        while word := await asyncio.to_thread(sys.stdin.readline):
            print(answers[word.strip()](), flush=True)


def _hear(_: Push) -> None:
    """Take a push as a device does."""


if __name__ == "__main__":
    with _on_core(0):
        uvloop.run(_serve("fast" if sys.argv[1] == "fast" else "scripted", Path(sys.argv[2])))
