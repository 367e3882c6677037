"""The errors that a user can cause."""

from cxrloc.text import one_line


class CxrlocError(Exception):
    r"""An input that cannot be used: the message names file, tag or row, and the rule it breaks.

    The command line prints it on one line and goes on with the other inputs. The text is made safe
    by `one_line`, because names and values that it quotes may hold anything.

    >>> str(CxrlocError("a name\nof two lines\x1b[2J: no image"))
    'a name of two lines\\x1b[2J: no image'
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(CxrlocError):
    """A command that cannot start as it was given; the message says what to change.

    Examples are an option whose value does not exist, options or settings that exclude each other,
    a file or folder that is missing, empty or not permitted, and a run begun with other settings.
    """
