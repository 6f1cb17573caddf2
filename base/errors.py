"""The root of all errors that are the user's to mend."""


class RoiridgeError(Exception):
    """Something that the user can mend: bad input, a missing file, a wrong name.

    The message names the file or argument, what was found, what was expected and the fix. The
    commands print it without a traceback; every package derives its own errors from this one.
    """
