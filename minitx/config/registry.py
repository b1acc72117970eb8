"""A table of named values, in which each name is registered once."""

from typing import TypeVar

from minitx.errors import UserError

Value = TypeVar("Value")


class Registry(dict[str, Value]):
    """A dict that refuses to replace an entry. `kind` says what it holds, for errors."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(self, name: str, value: Value) -> Value:
        """Add and return a value. Raises UserError if the name is taken."""
        if name in self:
            raise UserError(f"the {self.kind} {name!r} is registered twice: choose another name")
        self[name] = value
        return value
