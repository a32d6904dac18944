"""What the four services agree on: the events, and how a message is never lost or done twice."""
