"""A broker that somebody else runs."""


class ExternalBroker:
    """Knows the address; starting and stopping are not ours to do."""

    keeps_log = True

    def __init__(self, bootstrap_servers: str) -> None:
        """Remember the address. Raises ValueError where it is empty."""
        if not bootstrap_servers:
            raise ValueError("BROKER=external needs KAFKA_BOOTSTRAP_SERVERS")
        self.bootstrap_servers = bootstrap_servers

    async def start(self) -> None:
        """Do nothing: it runs."""

    async def stop(self) -> None:
        """Do nothing: it goes on."""
