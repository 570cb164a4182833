"""The one exception that means "the input is at fault": the CLI prints its sentence alone and exits with code 2."""


class InputError(ValueError):
    """Bad input from the user: says what was given, what was expected and what to do, in one line."""
