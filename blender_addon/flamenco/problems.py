"""What the add-on tells the artist when something does not work."""


class Problem(Exception):
    """Something went wrong; the message is a sentence that says what, why, and what to do.

    ``details`` is for whoever is asked for help: it goes to the clipboard with *Copy details*.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details or message


class CannotConnect(Problem):
    """The Server was not reached, or did not answer in time."""


class Refused(Problem):
    """The Server answered that it will not.

    ``status`` is that of HTTP, ``kind`` the public type of the problem (``job-type-changed``).
    """

    def __init__(self, message: str, status: int, kind: str, details: str = "") -> None:
        super().__init__(message, details)
        self.status = status
        self.kind = kind


class Stopped(Problem):
    """The artist stopped it."""
