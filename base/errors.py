"""The base class of all errors that a user can correct."""


class RoiridgeError(Exception):
    """An error that the user can correct: bad input, a missing file, a wrong name.

    The message names the file or argument, what was found, what was expected and the fix. The
    commands print it without a traceback; every package derives its own errors from this one.
    """
