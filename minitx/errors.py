"""What is meant for the person at the keyboard."""


class UserError(Exception):
    """Something the user asked for cannot be done.

    The message is a single line that names what was wrong and what would be right. Scripts print
    it without a traceback and exit with status 1; every other exception is a bug and keeps its
    traceback.
    """


class StoppedByUser(UserError):
    """The user stopped a run; the other jobs of a multirun are not begun either."""
