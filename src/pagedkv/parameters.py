"""Parameters of a policy: class attributes with defaults, checked in one place."""

from __future__ import annotations

from typing import Any

from pagedkv.errors import PagedKVError


def check_whole(policy: str, parameter: str, value: Any, least: int) -> None:
    """Raise PagedKVError unless `value` is a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PagedKVError(f"{policy}: {parameter} is a whole number from {least} on, not {value!r}")


class Parametrised:
    """A class with a name whose keyword arguments are the entries of `parameters`; each becomes an attribute.

    Raises PagedKVError on a parameter that the class does not have, and on a value that it does not admit.
    """

    name: str
    noun: str
    """What the class is, for messages: `prefetch policy`, `eviction policy`."""
    parameters: dict[str, Any] = {}
    """Parameters with their defaults."""
    least: dict[str, int] = {}
    """Parameters that are whole numbers, with the smallest admissible value of each."""
    choices: dict[str, tuple[Any, ...]] = {}
    """Parameters that take one of a few values, with these values."""
    shares: tuple[str, ...] = ()
    """Parameters that are numbers from 0 to 1."""
    at_least: dict[str, float] = {}
    """Parameters that are numbers, with the smallest admissible value of each."""
    optional: tuple[str, ...] = ()
    """Parameters that may also be None."""

    def __init__(self, **parameters: Any) -> None:
        unknown = set(parameters) - set(self.parameters)
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise PagedKVError(f"{self.noun} '{self.name}' has no parameter '{sorted(unknown)[0]}'; it has: {known}")
        for key, default in self.parameters.items():
            setattr(self, key, parameters.get(key, default))
        given = {key: getattr(self, key) for key in self.parameters}
        for key in self.optional:
            if given[key] is None:
                del given[key]
        for key, least in self.least.items():
            if key in given:
                check_whole(self.name, key, given[key], least)
        for key, choices in self.choices.items():
            if key in given and given[key] not in choices:
                listed = ", ".join(map(str, choices))
                raise PagedKVError(f"{self.name}: {key} is one of {listed}, not {given[key]!r}")
        for key in self.shares:
            if key in given and not (_is_number(given[key]) and 0 <= given[key] <= 1):
                raise PagedKVError(f"{self.name}: {key} is a number from 0 to 1, not {given[key]!r}")
        for key, least in self.at_least.items():
            if key in given and not (_is_number(given[key]) and given[key] >= least):
                raise PagedKVError(f"{self.name}: {key} is a number from {least:g} on, not {given[key]!r}")

    @property
    def label(self) -> str:
        """Name and the parameters that differ from the defaults, as tables and legends print it."""
        changed = [f"{k}={getattr(self, k)}" for k, default in self.parameters.items() if getattr(self, k) != default]
        return f"{self.name}({', '.join(changed)})" if changed else self.name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
