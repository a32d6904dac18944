"""When APNs knows none of our tokens, it is not the tokens that are wrong. Pure."""

from mdm_push.model import PushAnswer

LIMIT = 20  # a fleet in which half of the tokens are dead shows so many in a row once in a million pushes


class Breaker:
    """Counts, for each topic, the tokens that were refused as bad since APNs last knew one.

    APNs of the wrong environment, sandbox instead of production, answers BadDeviceToken for every token of a fleet,
    and Apple disconnects whoever goes on. So a topic is doubted until APNs knew one of its tokens in this process, and
    again after `LIMIT` refusals in a row.
    """

    def __init__(self) -> None:
        self._refused: dict[str, int] = {}
        self._known: set[str] = set()

    def hear(self, topic: str, answer: PushAnswer) -> None:
        """Take in one answer. A 410 proves as much as a 200: only the right environment knows who is gone."""
        if answer.accepted or answer.status == 410:
            self._refused[topic] = 0
            self._known.add(topic)
        elif answer.bad_token:
            self._refused[topic] = self._refused.get(topic, 0) + 1
            if self.open(topic):
                self._known.discard(topic)

    def doubts(self, topic: str) -> bool:
        """Say whether a token refused as bad may be a good one: none is given up then."""
        return topic not in self._known

    def open(self, topic: str) -> bool:
        """Say whether so many were refused in a row that nothing more should be sent for now."""
        return self._refused.get(topic, 0) >= LIMIT
