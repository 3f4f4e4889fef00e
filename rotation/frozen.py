"""Records that can't be changed, cheap to declare: a start makes a dozen of them before it can answer.

Frozen dataclasses in their place make a whole start 6.7 % longer, in instructions of the processor: ADR 9.
"""

from typing import ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True)
class Frozen:
    """What derives from it is a record of its annotated fields, in their order; a value in the class is the default.

    To a type checker it is a frozen dataclass; but nothing is compiled for it, which is what a dataclass's or a
    NamedTuple's declaration takes its time for. A record equals only its own kind.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        # The checker takes the class for a dataclass, which would have made its own.
        fields = (*cls.__match_args__, *cls.__annotations__)
        cls.__match_args__ = fields  # type: ignore[misc]

    def __init__(self, *values: object, **named: object) -> None:
        given = dict(zip(self.__match_args__, values, strict=False)) | named
        missing = [name for name in self.__match_args__ if name not in given and not hasattr(type(self), name)]
        if missing or len(given) != len(values) + len(named) or not given.keys() <= set(self.__match_args__):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.__match_args__)}, each once")
        self.__dict__.update(given)

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} can't be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} can't be taken away")
