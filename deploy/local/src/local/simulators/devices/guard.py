"""Stands between a device and what a server may do to it: troubles to come back from, and being sent away."""

from collections.abc import Awaitable, Callable

from local.simulators.devices.enrolling import Enroller
from local.simulators.devices.model import Channel, Enrollment
from local.simulators.devices.settings import FleetSettings
from local.simulators.devices.trace import Trace
from local.simulators.devices.trouble import SentAwayError, ServerTroubleError, SignInNeededError

Talk = Callable[[Channel], Awaitable[float | None]]


class Guard:
    """Lets channels talk to their server."""

    def __init__(self, settings: FleetSettings, enroller: Enroller, trace: Trace) -> None:
        self._settings = settings
        self._enroller = enroller
        self._trace = trace

    async def let(self, channel: Channel, talk: Talk, *, about: str) -> float | None:
        """Let it talk, unless it sleeps; answer after how many seconds the device comes again by itself."""
        if not channel.awake:
            return None
        device, life = channel.device, channel.device.life
        try:
            seconds = await talk(channel)
        except ServerTroubleError as trouble:
            channel.failures += 1
            self._trace.add(channel.name, about, str(trouble))
            self._trace.counts[str(trouble)] += 1
            wait = self._settings.retry_seconds * 2.0 ** min(channel.failures - 1, 30)
            return min(wait, self._settings.longest_retry_seconds)
        except SignInNeededError:
            device.cause = "sign-in needed"
            self._trace.counts["sign_in_needed"] += 1
            return None
        except SentAwayError as sent_away:
            self._trace.add(channel.name, about, str(sent_away))
            if device.life == life:
                await self._enroller.leave(device, Enrollment.UNENROLLED, str(sent_away))
            return None
        channel.failures = 0
        return seconds
