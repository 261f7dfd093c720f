"""What a command ends with when it can't do what it was asked."""


class CommandFailed(Exception):
    """The base; its message is shown as it is, and says what to do."""


class NoSuchStack(CommandFailed):
    """The account and region have no stack of this name, or it is none of this application."""


class NoSuchRun(CommandFailed):
    """The stack has no such execution."""
