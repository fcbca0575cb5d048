"""What the classes of `ast` have in common: fields by their annotations."""

from inspect import get_annotations
from typing import Any, ClassVar, dataclass_transform, get_origin


@dataclass_transform(frozen_default=True)
class Record:
    """Its subclasses are written, and checked by mypy, like dataclasses; fifty real ones would take 25 ms of every start."""

    fields: ClassVar[tuple[str, ...]] = ()
    takes_rest: ClassVar[bool] = False
    """Is the last field a tuple, for all further children?"""

    def __init_subclass__(cls) -> None:
        own = get_annotations(cls)
        cls.fields = (*cls.fields, *own)
        cls.takes_rest = any(get_origin(last) is tuple for last in [*own.values()][-1:])

    def __init__(self, *values: Any) -> None:
        self.__dict__.update(zip(self.fields, values, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"
