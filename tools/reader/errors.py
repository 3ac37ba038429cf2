"""What can go wrong, and the exit codes that it leads to."""

DONE = 0
WITH_FAULTS = 1
USAGE = 2
REFUSED = 3


class ReaderError(Exception):
    """Any failure that is reported to the user as one line."""

    exit_code = REFUSED


class UsageError(ReaderError):
    """The command asks for something that makes no sense here."""

    exit_code = USAGE


class WrongKey(ReaderError):
    """The vault key is malformed, or belongs to another vault."""


class Damage(ReaderError):
    """Stored bytes are absent, or are not what the format demands."""


class Unsupported(Damage):
    """An object of a newer format: a version or a flag that is not known here."""
