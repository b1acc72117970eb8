"""Errors that are meant for the user."""


class UserError(Exception):
    """The user asked for something that cannot be done.

    The message is one line that names what is wrong and what would be right. Commands print it
    without a traceback and exit with status 1. Every other exception is a bug and keeps its
    traceback.
    """


class StoppedByUser(UserError):
    """The user stopped a run. A multirun does not start its other jobs either."""
