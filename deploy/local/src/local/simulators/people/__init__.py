"""People in a box: they read their letters, and follow an invitation, or not, or otherwise than was meant."""

from local.simulators.people.person import Habit, Outcome, Person
from local.simulators.people.settings import PeopleSettings
from local.simulators.people.simulator import PeopleSimulator

__all__ = ["Habit", "Outcome", "PeopleSettings", "PeopleSimulator", "Person"]
