"""The whole system on one machine, from wheels, with no container engine."""
