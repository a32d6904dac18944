"""How many licences are left, and Apple's word on it."""
