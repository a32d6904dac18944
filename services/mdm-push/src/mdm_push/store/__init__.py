"""SQL in and out of the model, set-based: enrollments, their queues, the wishes, the wake-ups, the certificates."""
