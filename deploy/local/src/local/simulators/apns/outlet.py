"""The way out of one connection: it can cut a frame in two, fall silent for good, or hang up."""

import asyncio

CUT_SECONDS = 0.02  # between the two halves of what is cut


class Outlet:
    """Writes to a transport. What follows a cut waits until its second half has left."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytearray | None = None
        self.frozen = False

    def write(self, outgoing: bytes) -> None:
        """Send, or hold back behind a cut."""
        if self._held is not None:
            self._held += outgoing
        elif outgoing and not self.frozen:
            self._transport.write(outgoing)

    def write_cut(self, outgoing: bytes) -> None:
        """Send one half now and the other in a moment."""
        if self._held is not None:
            self.write(outgoing)
            return
        half = len(outgoing) // 2
        self.write(outgoing[:half])
        self._held = bytearray(outgoing[half:])
        asyncio.get_running_loop().call_later(CUT_SECONDS, self._release)

    def freeze(self) -> None:
        """Send nothing any more, and leave the connection open."""
        self.frozen = True

    def listen(self, *, listening: bool) -> None:
        """Read on, or stop reading for a while."""
        if listening:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def close(self) -> None:
        """Send what is held and end in style."""
        self._release()
        self._transport.close()

    def abort(self) -> None:
        """End without a word."""
        self._transport.abort()

    def _release(self) -> None:
        held, self._held = self._held, None
        self.write(bytes(held or b""))
