"""Profiles: what a model of device offers, as data in TOML, checked before anything uses it."""

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dougong.devices.commands import CommandSpec
from dougong.devices.lists import ListSpec
from dougong.devices.readings import Point
from dougong.errors import Invalid
from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.devices.contract import Driver, Transport

Model = TypeVar("Model", bound=BaseModel)


class ProfileError(Invalid):
    """A profile or a device's settings that cannot be used; the message names the field."""

    code = "device_profile"


class Profile(BaseModel):
    """A model of device: its points and commands, and the lists that it keeps.

    identity: the point that says the device's own number, compared in every sweep.
    clock_tolerance_s: how far its clock may be off before its values count as uncertain.
    options: what the driver wants to know of the model; checked by the driver.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    maker: str
    model: str
    points: tuple[Point, ...] = Field(min_length=1)
    commands: tuple[CommandSpec, ...] = ()
    lists: tuple[ListSpec, ...] = ()
    identity: str | None = None
    clock_tolerance_s: float = 300
    options: Mapping[str, Any] = {}

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        keys = [point.key for point in self.points]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"point {twice} stands twice")
        if self.identity is not None and self.identity not in keys:
            raise ValueError(f"identity {self.identity} is not a point")
        for command in self.commands:
            if command.verify is not None and command.verify.point not in keys:
                raise ValueError(f"{command.name} is verified by {command.verify.point}, no point")
        return self

    def point(self, key: str) -> Point:
        """Return a point by its key; raises KeyError."""
        return next(point for point in self.points if point.key == key)

    def command(self, name: str) -> CommandSpec | None:
        """Return a command by its name, None when the model has none of it."""
        return next((command for command in self.commands if command.name == name), None)

    def list(self, name: str) -> ListSpec | None:
        """Return a list by its name, None when the model keeps none of it."""
        return next((kept for kept in self.lists if kept.name == name), None)


def read_profile(
    text: str,
    source: str,
    point_address: type[BaseModel],
    command_address: type[BaseModel] | None = None,
    list_address: type[BaseModel] | None = None,
) -> Profile:
    """Return the profile in a TOML text; raises ProfileError naming file and field."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(
            N_("%(source)s cannot be read: %(reason)s"), source=source, reason=str(error)
        ) from error
    profile = checked(Profile, data, source)

    def located(found: Any, model: type[BaseModel], place: str) -> Any:
        address = checked(model, found.address, f"{source}: {place}.address")
        return found.model_copy(update={"address": address})

    return profile.model_copy(
        update={
            "points": tuple(located(p, point_address, f"points.{p.key}") for p in profile.points),
            "commands": tuple(
                located(c, command_address or point_address, f"commands.{c.name}")
                for c in profile.commands
            ),
            "lists": tuple(
                located(kept, list_address or point_address, f"lists.{kept.name}")
                for kept in profile.lists
            ),
        }
    )


def read_profiles(
    folder: Path,
    point_address: type[BaseModel],
    command_address: type[BaseModel] | None = None,
    list_address: type[BaseModel] | None = None,
) -> dict[str, Profile]:
    """Return the profiles of every TOML file in a folder, by id."""
    found: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.toml")):
        profile = read_profile(
            path.read_text(encoding="utf-8"), path.name, point_address, command_address,
            list_address,
        )  # fmt: skip
        found[profile.id] = profile
    return found


def find_profile(driver: "Driver", profile: str, transport: "Transport") -> Profile:
    """Return a driver's profile; raises ProfileError for an unknown one or a wrong transport."""
    if transport not in driver.transports:
        raise ProfileError(
            N_("The driver %(driver)s does not speak over %(transport)s."),
            fields={"transport": "not supported"},
            driver=driver.id,
            transport=transport.value,
        )
    if profile not in driver.profiles:
        raise ProfileError(
            N_("The driver %(driver)s has no profile %(profile)s."),
            fields={"profile": "unknown"},
            driver=driver.id,
            profile=profile,
        )
    return driver.profiles[profile]


def check_settings(driver: "Driver", settings: Mapping[str, Any]) -> Any:
    """Return a device's settings as the driver's model; raises ProfileError naming the field."""
    return checked(driver.settings, settings, driver.id)


def checked(model: type[Model], data: Any, source: str) -> Model:
    """Return ``data`` as ``model``; the error names the field and never repeats its value."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = {
            ".".join(str(part) for part in problem["loc"]) or "value": problem["msg"]
            for problem in error.errors(include_url=False, include_input=False)
        }
        field, reason = next(iter(problems.items()))
        raise ProfileError(
            N_("%(source)s: %(field)s: %(reason)s"),
            fields=problems,
            source=source,
            field=field,
            reason=reason,
        ) from None
