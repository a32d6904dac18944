"""A mailbox for everybody: a real SMTP server that keeps letters, and can be told to refuse them."""

from local.simulators.mailbox.bounces import Bounce
from local.simulators.mailbox.script import Reply, Step
from local.simulators.mailbox.simulator import MailboxSettings, MailboxSimulator
from local.simulators.mailbox.smtp import Login

__all__ = ["Bounce", "Login", "MailboxSettings", "MailboxSimulator", "Reply", "Step"]
