"""The history of this service's schema, newest revision last."""
