"""The command that turns declarative management on, and says ever after that there is something to fetch.

Apple: `DeclarativeManagement`.
"""

from local.simulators.devices.commands.reports import Report, acknowledged, malformed
from local.simulators.devices.commands.world import Arguments, World
from local.simulators.devices.declarative.answers import UnreadableError, read_token
from local.simulators.devices.declarative.held import Declarations, Due
from local.simulators.devices.model import Channel


def declarative_management(channel: Channel, command: Arguments, world: World) -> Report:
    """Turn it on for this channel; what is new is fetched apart from the commands, once it was reported.

    `Data` with the token that the channel has already asks for nothing, without `Data` the device asks for the token.
    """
    del world
    data, token = command.get("Data"), None
    if data is not None:
        try:
            token = read_token(data)
        except UnreadableError as error:
            return malformed(f"Data holds no SyncTokens: {error}")
    declarations = channel.declarations = channel.declarations or Declarations()
    if token is None:
        declarations.due = declarations.due or Due.TOKENS
    elif token != declarations.token:
        declarations.due = Due.ITEMS
    return acknowledged()
