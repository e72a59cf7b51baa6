"""Errors that a user can cause and mend: each one is a single sentence."""


class PneumoError(ValueError):
    """Base of the package's own errors: names the file or parameter, what is wrong with it and what to do.

    A notebook shows it as that one sentence instead of a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for its own rendering under this name.
        return [f"{type(self).__name__}: {self}"]
