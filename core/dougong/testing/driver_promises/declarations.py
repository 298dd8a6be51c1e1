"""Promises about what a driver declares: settings, secrets, profiles, commands."""

from collections.abc import Iterator

from dougong.devices.commands import Effect
from dougong.devices.contract import Transport
from dougong.devices.profiles import ProfileError, read_profile
from dougong.testing.driver_promises import DriverSubject, promise


@promise
def a_wrong_setting_is_named_and_its_value_is_not_repeated(
    subject: DriverSubject,
) -> Iterator[str]:
    given = dict(subject.settings(subject.number))
    try:
        subject.driver.open(subject.profile.id, {**given, "no_such": 1}, subject.transport)
        yield "it takes a setting that it does not know"
    except ProfileError as error:
        if "no_such" not in str(error):
            yield f"it does not name the wrong setting: {error}"
    for name in subject.driver.secrets:
        try:
            wrong = {**given, name: "\0sesame\0"}
            subject.driver.open(subject.profile.id, wrong, subject.transport)
        except ProfileError as error:
            if "sesame" in f"{error} {error.fields} {error.__cause__}":
                yield f"the error repeats the secret {name}"


@promise
def secrets_stay_out_of_what_is_logged(subject: DriverSubject) -> Iterator[str]:
    settings = subject.driver.settings.model_validate(
        {**subject.settings(subject.number), **subject.secrets}
    )
    for name in subject.driver.secrets:
        if name not in subject.secrets:
            yield f"the test gives no value for the secret {name}"
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"
    for name, secret in subject.secrets.items():
        if secret in shown:
            yield f"the secret {name} stands in the settings as they are logged"


@promise
def an_unknown_field_in_a_profile_is_refused(subject: DriverSubject) -> Iterator[str]:
    point = subject.profile.points[0]
    body = f'id = "x"\nversion = 1\nmaker = "m"\nmodel = "m"\n[[points]]\nkey = "{point.key}"\n'
    for wrong in ("no_such = 1\naddress = {}\n", "address = {no_such = 1}\n"):
        try:
            read_profile(body + wrong, "planted", subject.driver.point_address)
            yield f"it takes {wrong!r}"
        except ProfileError as error:
            if "no_such" not in f"{error} {error.fields}" and "address" in wrong[:8]:
                yield f"it does not name the unknown field: {error}"


@promise
def it_refuses_a_model_and_a_line_that_it_does_not_know(subject: DriverSubject) -> Iterator[str]:
    others = [t for t in Transport if t not in subject.driver.transports]
    cases = [("no_such_model", subject.transport)] + [(subject.profile.id, t) for t in others[:1]]
    for profile, transport in cases:
        try:
            subject.driver.open(profile, subject.settings(subject.number), transport)
            yield f"it opens {profile} over {transport}"
        except ProfileError:
            continue


@promise
def every_command_says_what_proves_it(subject: DriverSubject) -> Iterator[str]:
    for spec in subject.profile.commands:
        if spec.effect is Effect.CUT_SUPPLY and spec.verify is None:
            yield f"{spec.name} cuts a supply and nothing shows that it did"
        arguments = {"value": spec.lowest} if spec.takes_value else {}
        request = subject.codec().plan_command(
            subject.command(spec.name, arguments=arguments), spec
        )
        if not request.is_write:
            yield f"{spec.name} is not planned as a write"
