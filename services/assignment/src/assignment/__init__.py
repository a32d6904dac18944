"""Who gets what, and how: the decisions, and the thread of each assignment."""
