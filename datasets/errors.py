"""The one way in which anything here says that its input is bad."""


class InputError(ValueError):
    """Input that a person can mend: its text is one line naming the file or field, what is wrong and what to do.

    Commands print it on standard error and exit with code 2 (`datasets.cli.run`); from Python it is a `ValueError`.
    """
