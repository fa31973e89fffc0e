"""The one error that a person sees."""


class PagedKVError(Exception):
    """Bad input or settings: one line that names file, row and cause. Whoever raises it has written nothing."""
