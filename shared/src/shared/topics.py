"""The topics: their names, how long they keep, and who may read them."""

from dataclasses import dataclass

PARTITIONS = 24
"""For ever: changing the number would change which partition a key goes to, and so its order."""

_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `restricted` ones carry mail addresses, names or sealed links."""

    name: str
    restricted: bool = False
    compacted: bool = False
    retention_ms: int = 7 * 24 * _HOUR

    @property
    def owner(self) -> str:
        """Return the service that publishes here."""
        return self.name.partition(".")[0]

    def settings(self) -> dict[str, str]:
        """Return the broker's settings for this topic."""
        if self.compacted:
            return {"cleanup.policy": "compact"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


ASSIGNMENT_EVENTS = Topic("assignment.events")
ASSIGNMENT_PEOPLE = Topic("assignment.people", restricted=True, compacted=True)
LICENSING_EVENTS = Topic("licensing.events")
LICENSING_INVITATIONS = Topic("licensing.invitations", restricted=True, retention_ms=24 * _HOUR)
INVITATION_EVENTS = Topic("invitation.events")
INVITATION_DEVICES = Topic("invitation.devices", restricted=True, retention_ms=24 * _HOUR)
MDM_PUSH_EVENTS = Topic("mdm-push.events")

SERVICES = ("assignment", "licensing", "invitation", "mdm-push")


def dead_letters(service: str) -> Topic:
    """Return the topic on which a service tells what it could not handle."""
    return Topic(f"{service}.dead-letters")


TOPICS = (
    ASSIGNMENT_EVENTS,
    ASSIGNMENT_PEOPLE,
    LICENSING_EVENTS,
    LICENSING_INVITATIONS,
    INVITATION_EVENTS,
    INVITATION_DEVICES,
    MDM_PUSH_EVENTS,
    *(dead_letters(service) for service in SERVICES),
)


def owned_by(service: str) -> tuple[Topic, ...]:
    """Return the topics that `service` publishes on, and therefore creates."""
    return tuple(topic for topic in TOPICS if topic.owner == service)


def named(name: str) -> Topic:
    """Return a topic by its name; raises KeyError for a stranger's."""
    return _BY_NAME[name]


_BY_NAME = {topic.name: topic for topic in TOPICS}
