"""What may become of a connection besides an answer."""


class ServerTroubleError(Exception):
    """No 2xx: the device keeps what it had to say and comes again."""


class NotThereError(ServerTroubleError):
    """404: what was asked for is gone."""


class SentAwayError(Exception):
    """401, or 403 with `com.apple.unrecognized.device`: the device must remove its enrollment."""


class SignInNeededError(Exception):
    """401 with a challenge on an account-driven enrollment: its user must sign in again, and it stays enrolled."""
