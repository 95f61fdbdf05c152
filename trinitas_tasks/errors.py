"""What can go wrong, as one tree.

    TrinitasError
    ├── Transient                try again later: nothing was lost
    │   ├── Unavailable          a service cannot be reached or did not answer
    │   │   └── DeadlineExceeded it did not answer in time
    │   ├── Overloaded           the outbox is full, or a token asks too often: slow down
    │   └── Conflict             somebody else changed the memory in between
    └── Permanent                the same call will fail again
        ├── InvalidMemory        what was to be remembered cannot be
        ├── InvalidQuery         what was asked for cannot be asked
        │   └── UnknownPersona   nobody has this name; says who has one like it
        ├── NotFound             the persona has no such memory
        ├── Forbidden            who asks may not do this
        ├── SettingsError        an unknown or bad setting
        ├── ModelError           the embedding model is missing or altered
        ├── ArchiveError         the archive refuses: its schema or its file is not what it should be
        ├── BackupError          a backup is torn or altered, or cannot be made or restored here
        ├── StackError           the embedded stack cannot be started or stopped
        └── DatasetError         a folder to be evaluated is not what it should be

Errors of the libraries below are mapped where the library is touched; the cause is kept.
"""


class TrinitasError(Exception):
    """The root of all errors raised by this package."""


class Transient(TrinitasError):
    """Passing trouble: the same call may succeed later."""


class Permanent(TrinitasError):
    """The same call will fail again until something is changed."""


class Unavailable(Transient):
    """A service cannot be reached or did not answer."""


class DeadlineExceeded(Unavailable):
    """A service did not answer within the call's deadline."""


class Overloaded(Transient):
    """More is waiting to be archived than the settings allow, or a token asks more often than it may: refused."""


class Conflict(Transient):
    """Somebody else changed the memory between reading and writing it; nothing was written."""


class InvalidMemory(Permanent, ValueError):
    """A memory that cannot be stored; nothing was."""


class InvalidQuery(Permanent, ValueError):
    """A question that cannot be asked."""


class UnknownPersona(InvalidQuery):
    """Nobody has this name; the message names those that are like it."""


class NotFound(Permanent, LookupError):
    """The persona has no memory of this id; whether somebody else has is not told."""


class Forbidden(Permanent):
    """Who asks may not do this, whether there is anything to do it to or not."""


class SettingsError(Permanent, ValueError):
    """An unknown setting or a bad value; names it and where it came from."""


class ModelError(Permanent):
    """The embedding model is missing, altered, or refuses a text."""


class ArchiveError(Permanent):
    """The archive's schema or file is not what this version can work with."""


class BackupError(Permanent):
    """A backup is torn, altered or of a newer version, or cannot be made or restored here; nothing was changed."""


class StackError(Permanent):
    """The embedded stack cannot be started or stopped."""


class DatasetError(Permanent, ValueError):
    """A folder to be evaluated does not hold what it should; names the file and the line."""
