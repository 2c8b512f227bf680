"""The one exception that means: the user can fix this."""


class InputError(ValueError):
    """A mistake in what the user gave (a file, a flag, a name, a value).

    The message is one sentence that names what is wrong, where, and what to do about it. The
    command line prints it as one line and exits with status 2.
    """
