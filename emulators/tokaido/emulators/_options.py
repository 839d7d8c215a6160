"""What an emulated device may be launched with: the options that its model's constructor takes, and no others."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from tokaido.hal import ConfigurationError, emulators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators._secrets import Secrets

_GIVEN: Final = ("self", "serial_number", "seed", "secrets")
"""What every model is given and no option names."""


def model_class(name: str) -> Callable[..., DeviceModel]:
    """Return the class of the model that an emulator of this name has.

    Raises:
        ConfigurationError: No installed distribution brings one.
    """
    found = {entry.name: entry for entry in emulators()}
    if name not in found:
        raise ConfigurationError(
            f"there is no emulator {name!r}",
            remedy=f"Choose one of: {', '.join(found) or 'none is installed'}",
        )
    return cast("Callable[..., DeviceModel]", found[name].load())


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options of a model, as the signatures of its constructors have them."""

    defaults: Mapping[str, object]
    """The default of each option, by name."""
    any_other: bool
    """Whether the model takes options of any name."""

    @classmethod
    def of(cls, build: Callable[..., DeviceModel]) -> ModelOptions:
        """Read the signature of a model's class; one that hands `**options` on takes its base's options as well."""
        defaults: dict[str, object] = {}
        any_other = True
        for constructor in _constructors(build):
            parameters = _parameters(constructor)
            for parameter in parameters:
                named = parameter.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
                if named and parameter.name not in _GIVEN:
                    defaults.setdefault(parameter.name, parameter.default)
            any_other = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
            if not any_other:
                break
        return cls(defaults, any_other)

    def unknown(self, options: Iterable[str]) -> list[str]:
        """Return which of these the model does not take."""
        return [] if self.any_other else [name for name in options if name not in self.defaults]

    def __or__(self, other: ModelOptions) -> ModelOptions:
        """Return the options of two models together."""
        return ModelOptions({**self.defaults, **other.defaults}, self.any_other or other.any_other)


def _constructors(build: Callable[..., DeviceModel]) -> list[Callable[..., object]]:
    """Return the constructors that a call meets, in turn, as long as each hands its options on."""
    if not isinstance(build, type):
        return [build]
    return [vars(kind)["__init__"] for kind in build.__mro__ if kind is not object and "__init__" in vars(kind)]


def keywords_of(launcher: Callable[..., object]) -> list[str]:
    """Return the options that a launcher takes for itself."""
    function = getattr(launcher, "__func__", launcher)  # a method is another object each time that it is asked for
    return [one.name for one in _parameters(function) if one.kind is inspect.Parameter.KEYWORD_ONLY]


@lru_cache(256)
def _parameters(function: Callable[..., object]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(function).parameters.values())


def check_options(name: str, taken: ModelOptions, options: Iterable[str], launcher: Iterable[str]) -> None:
    """Raise ConfigurationError for options that an emulated device does not take, with those that it does.

    Args:
        name: The emulator's name.
        taken: The options of its model.
        options: Names of the options that were given.
        launcher: Names of the options that the launcher itself takes.
    """
    unknown = taken.unknown(options)
    if unknown:
        several = len(unknown) > 1
        raise ConfigurationError(
            f"{name} takes no option{'s' if several else ''} {', '.join(map(repr, unknown))}",
            remedy=f"Choose from {', '.join(sorted(taken.defaults)) or 'none of its own'}; "
            f"or, as for every device, {', '.join(sorted(launcher))}",
        )


def build_models(
    name: str,
    serial_number: str | None,
    *,
    seed: int,
    secrets: Secrets,
    options: Mapping[str, object],
    launcher: Iterable[str],
) -> tuple[DeviceModel, DeviceModel]:
    """Return the model of an emulated device, and the other box that answers under the fault `wrong_id`.

    Raises:
        ConfigurationError: There is no such emulator, or an option does not fit.
    """
    build = model_class(name)
    check_options(name, ModelOptions.of(build), options, launcher)
    model = build(serial_number, seed=seed, secrets=secrets, **options)
    return model, build(f"{model.serial_number[:20]}-X9", seed=seed, **options)
