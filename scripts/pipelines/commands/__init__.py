"""One module for each command, whose click command is `command`."""
