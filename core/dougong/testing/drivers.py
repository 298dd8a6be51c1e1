"""The driver conformance kit: what every driver promises, for a vendor's driver in a few lines.

A driver's test::

    from dougong.testing.drivers import DriverConformance, Golden

    class TestMyMeter(DriverConformance):
        driver = my_driver
        profile = "my_model"
        transport = Transport.RTU_TCP
        golden = (Golden(("energy",), sent="68…16", answer="68…16", values={"energy": "0.26"}),)

        @classmethod
        def settings(cls, number):
            return {"address": f"{number:012d}"}

A device that tells by itself is held to captured messages::

    class TestMyCamera(PushConformance):
        driver, profile, transport = my_driver, "my_model", Transport.HTTP_PUSH
        messages = (Pushed(b"…", values={"energy": "0.26"}, key="4711"),)

No database is needed. The bytes are held to captured frames; everything that time does to them is
tried on real sockets against the driver's own simulator. What is promised stands in
``dougong.testing.driver_promises``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from dougong.devices.contract import Driver, Transport
from dougong.testing.driver_promises import (
    DriverSubject,
    Golden,
    Promise,
    Pushed,
    every_promise,
    every_push_promise,
)


class DriverConformance:
    """Tests that hold one driver, with one of its profiles, to what every driver promises.

    settings(number): the settings of the device with this number, from 1. number: the device of
    the golden frames. has_checksum: False for a protocol whose frames have none. secrets: a value
    for each secret. lists: for each list of the profile two things to hold, the second of which
    leaves out some of the first. excused: names of promises that the driver does not keep, each
    with the reason.
    """

    driver: ClassVar[Driver]
    profile: ClassVar[str]
    transport: ClassVar[Transport]
    golden: ClassVar[Sequence[Golden]] = ()
    number: ClassVar[int] = 1
    has_checksum: ClassVar[bool] = True
    secrets: ClassVar[Mapping[str, str]] = {}
    lists: ClassVar[Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]]] = {}
    excused: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def settings(cls, number: int) -> Mapping[str, Any]:
        """Return the settings of the device with this number."""
        raise NotImplementedError

    @classmethod
    def subject(cls) -> DriverSubject:
        """Return the driver with what its test says of it."""
        return DriverSubject(
            cls.driver,
            cls.driver.profiles[cls.profile],
            cls.transport,
            cls.settings,
            cls.golden,
            cls.number,
            cls.has_checksum,
            cls.secrets,
            lists=cls.lists,
        )

    @pytest.mark.parametrize("promise", every_promise(), ids=lambda promise: promise.__name__)
    def test_promise(self, promise: Promise) -> None:
        if promise.__name__ in self.excused:
            pytest.skip(self.excused[promise.__name__])
        broken = list(promise(self.subject()))
        assert not broken, "\n".join([promise.__name__.replace("_", " "), *broken])


class PushConformance:
    """Tests that hold a driver whose devices tell by themselves to what every such one promises.

    settings(number), secrets, excused: as above. messages: captured ones of device ``number``.
    Who may push is the host's to check, not a driver's.
    """

    driver: ClassVar[Driver]
    profile: ClassVar[str]
    transport: ClassVar[Transport]
    messages: ClassVar[Sequence[Pushed]] = ()
    number: ClassVar[int] = 1
    secrets: ClassVar[Mapping[str, str]] = {}
    excused: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def settings(cls, number: int) -> Mapping[str, Any]:
        """Return the settings of the device with this number."""
        return {}

    @classmethod
    def subject(cls) -> DriverSubject:
        """Return the driver with what its test says of it."""
        return DriverSubject(
            cls.driver,
            cls.driver.profiles[cls.profile],
            cls.transport,
            cls.settings,
            number=cls.number,
            secrets=cls.secrets,
            messages=cls.messages,
        )

    @pytest.mark.parametrize("promise", every_push_promise(), ids=lambda promise: promise.__name__)
    def test_promise(self, promise: Promise) -> None:
        if promise.__name__ in self.excused:
            pytest.skip(self.excused[promise.__name__])
        broken = list(promise(self.subject()))
        assert not broken, "\n".join([promise.__name__.replace("_", " "), *broken])


__all__ = ["DriverConformance", "DriverSubject", "Golden", "PushConformance", "Pushed"]
