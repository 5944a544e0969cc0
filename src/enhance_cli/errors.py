"""The one error that a user is meant to see."""


class EnhanceError(Exception):
    """Something in the world is not as expected: one line that says what, and what to do."""
