"""From the tables of a TOML document to the model: shape, types and ranges of each value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from lbproxy.config.endpoint import endpoint
from lbproxy.config.kinds import (
    LEAST_HEAD,
    Kind,
    Named,
    Switched,
    Wrong,
    count,
    elements,
    guessed,
    question,
    table,
)
from lbproxy.config.lines import Path
from lbproxy.config.mistakes import Mistake
from lbproxy.config.model import DERIVED, Admin, Listener
from lbproxy.http1.parser import HeadLimits

Hook = Callable[[Any, Any], Any]

T = TypeVar("T")


def structure(document: dict[str, Any], kind: type[T]) -> T:
    """Make a value of a document: that of an attrs class whose fields are its keys.

    Raises:
        BaseValidationError: With every mistake in it; `mistakes_of` lists them.
    """
    return _converter.structure(document, kind)


def mistakes_of(error: BaseException, path: Path = ()) -> Iterator[Mistake]:
    """List what `structure` found.

    Args:
        error: What it raised.
        path: Where that was.
    """
    if isinstance(error, BaseValidationError):
        for each in error.exceptions:
            yield from mistakes_of(each, path + _step(each))
    elif isinstance(error, ForbiddenExtraKeysError):
        for key in sorted(error.extra_fields):
            yield _unknown_key(error.cl, path, key)
    elif isinstance(error, KeyError):
        yield Mistake(path, "is missing", wanted=(path,))
    elif isinstance(error, Wrong):
        yield Mistake(path, str(error))
    else:
        raise error


def _step(error: BaseException) -> Path:
    """The key or index that led from a value to the one that is wrong."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _unknown_key(cls: type, path: Path, key: str) -> Mistake:
    known = {field.name for field in attrs.fields(cls) if field.metadata != DERIVED}
    if cls in _named:
        known.discard("name")
    guess = guessed(key, known)
    if guess is None:
        return Mistake((*path, key), f"unknown key; known are {', '.join(sorted(known))}")
    return Mistake((*path, key), f"unknown key{question(guess)}", meant=(*path, guess))


def _noted(error: Exception, name: str, cls: type) -> Exception:
    error.__notes__ = [IterableValidationNote(f"{cls.__name__} {name}", name, cls)]
    return error


def _mark(kind: Any) -> object:
    """What `Annotated` says about a type of the model."""
    return kind.__metadata__[0] if hasattr(kind, "__metadata__") else None


def _tables_by_name(cls: type) -> Hook:
    _named.add(cls)

    def read(value: object, _: Any) -> tuple[Any, ...]:
        found: list[Any] = []
        errors: list[Exception] = []
        for name, each in table(value).items():
            if isinstance(each, dict) and "name" in each:
                errors.append(_noted(ForbiddenExtraKeysError(None, cls, {"name"}), name, cls))
            named = {**each, "name": name} if isinstance(each, dict) else each
            try:
                found.append(_converter.structure(named, cls))
            except (BaseValidationError, Wrong) as error:
                errors.append(_noted(error, name, cls))
        if errors:
            raise IterableValidationError(f"{cls.__name__} by name", errors, cls)
        return tuple(found)

    return read


def _annotated(kind: Any) -> Hook:
    match _mark(kind):
        case Kind(read):
            return lambda value, _: read(value)
        case Switched(on):
            return lambda value, _: None if value is False else _converter.structure(value, on)
        case Named(cls):
            return _tables_by_name(cls)
    raise AssertionError(kind)


def _attrs_class(cls: Any, checks: Mapping[str, Kind | Switched] | None = None) -> Hook:
    overrides: dict[str, Any] = {
        name: override(struct_hook=_annotated(Annotated[object, kind]))
        for name, kind in (checks or {}).items()
    }
    derived = [field.name for field in attrs.fields(cls) if field.metadata == DERIVED]
    overrides |= dict.fromkeys(derived, override(omit=True))
    read = make_dict_structure_fn(
        cls,
        _converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=True,
        **overrides,
    )
    return lambda value, kind: read(table(value), kind)


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple(kind: Any) -> Hook:
    each = get_args(kind)[0]
    read = cast(Any, list)[each]
    return lambda value, _: tuple(_converter.structure(elements(value), read))


#: The classes that files write as tables by name.
_named: set[type] = set()

_converter = Converter(detailed_validation=True)
_converter.register_structure_hook_factory(attrs.has, lambda cls: _attrs_class(cls))
_converter.register_structure_hook_factory(_is_tuple, _tuple)
_converter.register_structure_hook_factory(lambda kind: _mark(kind) is not None, _annotated)
_converter.register_structure_hook(
    HeadLimits,
    _attrs_class(
        HeadLimits,
        {
            "head": count("bytes", LEAST_HEAD, 1_048_576),
            "fields": count("a whole number", 1, 10_000),
            "target": count("bytes", 1, 1_048_576),
        },
    ),
)
_ENDPOINT = Kind(endpoint)
_SWITCHED_ENDPOINT = Switched(Annotated[str, _ENDPOINT])
for _bound, _kind in ((Listener, _ENDPOINT), (Admin, _SWITCHED_ENDPOINT)):
    _converter.register_structure_hook(_bound, _attrs_class(_bound, {"endpoint": _kind}))
