"""Supply of prepaid rooms: charged, warned, cut over a real line, restored at once, protected."""

import asyncio
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.devices import CommandState, Ground, PointKind, Quality, Reading, Transport
from dougong.devices.configuration import drivers_of, simulated_device
from dougong.devices.host import Host
from dougong.devices.models import Device, DeviceCommand, Gateway
from dougong.devices.recording import record_readings
from dougong.devices.services import order_command
from dougong.devices.simulated import SimulatedGateway
from dougong.devices.spool import Spool
from dougong.devices.store import DatabaseStore
from dougong.errors import Conflict
from dougong.messages.models import Message
from dougong.services import entered
from dougong.tenancy.models import Occupancy
from dougong.tenancy.operations import set_setting
from dougong_ledger import services as ledger
from dougong_ledger.models import JournalLine, Wallet
from dougong_meters.models import Meter
from dougong_prepaid import services
from dougong_prepaid.domain import ENERGY_LIABILITY, CutReason, Protection, Supply
from dougong_prepaid.models import CalendarPeriod, EnergyAccount, Movement, Tariff
from dougong_prepaid.services import supply

PATIENCE_S = 30


@pytest.fixture
def by_rule(installation, place):
    """Let the system cut at every hour of the day, by a written rule."""
    with installation.access() as session:
        for name, value in (("policy", "宿舍用电管理规定"), ("cut_from_hour", 0),
                            ("cut_to_hour", 24), ("limit_watts", 2000),
                            ("step_watts", 900)):  # fmt: skip
            set_setting(session, place.community_id, f"prepaid.{name}", value)


def opened(installation, dormitory):
    return installation.scope(Actor.system("test"), community=dormitory.community_id)


def account_of(scope, dormitory):
    return scope.get(EnergyAccount, dormitory.account_id)


def show(scope, dormitory, value):
    """Let the meter show a value now."""
    meter = scope.get(Meter, dormitory.meter_id)
    meter.last_value, meter.last_read_at = Decimal(value), scope.now
    scope.session.flush()


def empty(scope, dormitory, used="150"):
    """Use the balance up, two days ago."""
    services.settle(scope)
    show(scope, dormitory, used)
    services.settle(scope)
    account = account_of(scope, dormitory)
    assert account.balance < 0
    account.empty_at -= timedelta(days=2)
    scope.session.flush()


def top_up(scope, dormitory, amount, key="top-up-key-1"):
    return services.top_up(
        scope, account_of(scope, dormitory), Decimal(amount), idempotency_key=key
    )


def commands(scope):
    return list(scope.session.scalars(select(DeviceCommand).order_by(DeviceCommand.ordered_at)))


# --- money ----------------------------------------------------------------------------------------


def test_use_comes_off_the_balance_and_the_books_follow_on_the_next_day(installation, dormitory):
    with opened(installation, dormitory) as scope:
        services.settle(scope)
        top_up(scope, dormitory, "50")
        top_up(scope, dormitory, "50")
        assert account_of(scope, dormitory).balance == Decimal("50.00")
        for value in ("100.01", "100.02", "110"):
            show(scope, dormitory, value)
            services.settle(scope)
        assert account_of(scope, dormitory).balance == Decimal("44.40")
        (usage,) = scope.session.scalars(select(Movement).where(Movement.kind == "usage"))
        assert (usage.quantity, usage.amount) == (Decimal(10), Decimal("-5.60"))
        usage.booked_on -= timedelta(days=1)
        scope.session.flush()
        assert (services.post_usage(scope), services.post_usage(scope)) == (1, 0)
        balances = {a.code: a for a in ledger.trial_balance(scope).accounts}
        assert balances[ENERGY_LIABILITY].credit - balances[ENERGY_LIABILITY].debit == Decimal(
            "44.40"
        )
        assert scope.session.scalars(select(JournalLine.room_id)).all()


def test_everybody_has_a_free_quota_but_not_in_the_vacation(installation, dormitory):
    with opened(installation, dormitory) as scope:
        scope.session.execute(text("update prepaid.tariff set free_per_person = 8"))
        services.settle(scope)
        show(scope, dormitory, "120")
        services.settle(scope)
        account = account_of(scope, dormitory)
        # Two who live there and 8 free for each; the owner does not live there.
        assert (account.month_free, account.balance) == (Decimal(16), Decimal("-2.24"))
        account.month_free = Decimal(0)
        scope.session.add(
            CalendarPeriod(kind="vacation", name="寒假", from_on=scope.today,
                           to_on=scope.today + timedelta(days=1))
        )  # fmt: skip
        show(scope, dormitory, "130")
        services.settle(scope)
        assert account_of(scope, dormitory).month_free == 0


def test_a_replaced_meter_is_followed_and_a_gap_is_told_instead_of_guessed(installation, dormitory):
    from dougong_meters.services import replace_meter

    with opened(installation, dormitory) as scope:
        services.settle(scope)
        meter = scope.get(Meter, dormitory.meter_id)
        new = replace_meter(scope, meter, scope.today, Decimal(110), f"N{dormitory.address}")
        new.last_value, new.last_read_at = Decimal(5), scope.now
        scope.session.flush()
        services.settle(scope)
        assert account_of(scope, dormitory).balance == Decimal("-8.40")
        new.last_value, new.last_read_at = Decimal(2), scope.now
        scope.session.flush()
        services.settle(scope)
        account = account_of(scope, dormitory)
        assert account.problem and account.balance == Decimal("-8.40")
        services.count_anew(scope, account, "换了模块")
        services.settle(scope)
        assert account_of(scope, dormitory).problem is None


def test_what_is_left_goes_to_the_wallets_of_who_lives_there(installation, dormitory):
    with opened(installation, dormitory) as scope:
        services.settle(scope)
        top_up(scope, dormitory, "10.01")
        services.pay_back(scope, account_of(scope, dormitory), "毕业退宿")
        wallets = {w.person_id: w.balance for w in scope.session.scalars(select(Wallet))}
        assert sorted(wallets[p] for p in dormitory.person_ids) == [
            Decimal("5.00"), Decimal("5.01"),
        ]  # fmt: skip
        assert account_of(scope, dormitory).balance == 0


def test_after_all_moved_out_what_is_left_goes_to_those_who_left_last(installation, dormitory):
    with opened(installation, dormitory) as scope:
        services.settle(scope)
        top_up(scope, dormitory, "10.00")
        first = dormitory.person_ids[0]
        for lives in scope.session.scalars(select(Occupancy)):
            earlier = 0 if lives.person_id == first else 1
            lives.to_on = scope.today - timedelta(days=earlier)
        scope.session.flush()
        services.pay_back(scope, account_of(scope, dormitory), "毕业退宿")
        wallets = {w.person_id: w.balance for w in scope.session.scalars(select(Wallet))}
        assert wallets[dormitory.person_ids[0]] == Decimal("10.00")
        assert wallets.get(dormitory.person_ids[1], 0) == 0


def test_energy_is_not_resold_for_more_than_it_costs(installation, dormitory):
    from sqlalchemy.exc import IntegrityError

    with opened(installation, dormitory) as scope:
        scope.session.add(Tariff(commodity="electricity", from_on=scope.today,
                                 price=Decimal("0.57"), grid_price=Decimal("0.56")))  # fmt: skip
        with pytest.raises(IntegrityError, match="no_markup"):
            scope.session.flush()
        scope.session.rollback()


# --- warned, cut, restored ------------------------------------------------------------------------


def test_a_low_balance_is_told_to_all_who_live_there_once(installation, dormitory):
    with opened(installation, dormitory) as scope:
        services.settle(scope)
        top_up(scope, dormitory, "12")
        show(scope, dormitory, "105")
        services.settle(scope)
        services.settle(scope)
        told = scope.session.scalars(select(Message.person_id)).all()
        assert sorted(told) == sorted(dormitory.person_ids)


@pytest.mark.parametrize("why", ["night", "exam", "protected", "stale", "no rule"])
def test_an_empty_balance_cuts_nothing(installation, dormitory, place, by_rule, why):
    changes = {"night": ("cut_to_hour", 0), "no rule": ("policy", "")}
    if why in changes:
        with installation.access() as session:
            name, value = changes[why]
            set_setting(session, place.community_id, f"prepaid.{name}", value)
    with opened(installation, dormitory) as scope:
        empty(scope, dormitory)
        account = account_of(scope, dormitory)
        if why == "protected":
            services.protect(scope, account, Protection.MEDICAL, "制氧机")
        if why == "stale":
            account.counted_at -= timedelta(hours=5)
            scope.get(Meter, dormitory.meter_id).last_read_at = account.counted_at
        if why == "exam":
            scope.session.add(CalendarPeriod(kind="exam", name="期末", from_on=scope.today,
                                             to_on=scope.today + timedelta(days=2)))  # fmt: skip
        scope.session.flush()
        services.settle(scope)
        assert commands(scope) == [] and account.supply is Supply.ON


def test_a_top_up_takes_a_cut_back_that_was_not_sent(installation, dormitory, by_rule):
    with opened(installation, dormitory) as scope:
        empty(scope, dormitory)
        services.settle(scope)
        (command,) = commands(scope)
        assert command.ground is Ground.ENERGY_ARREARS and command.requires == ["prepaid.supply"]
        top_up(scope, dormitory, "100")
        assert command.state is CommandState.WITHDRAWN
        account = account_of(scope, dormitory)
        assert (account.supply, account.cut_reason, account.empty_at) == (Supply.ON, None, None)


def test_rooms_that_cannot_be_cut_keep_no_others_from_it(
    installation, dormitory, place, by_rule, monkeypatch
):
    monkeypatch.setattr(supply, "AT_ONCE", 1)
    with opened(installation, dormitory) as scope:
        empty(scope, dormitory)
        account = account_of(scope, dormitory)
        long_ago = scope.now - timedelta(days=3)
        # Older accounts, as empty: some that were read days ago, some without a device.
        for number, room in enumerate(place.room_ids[1:]):
            read_at = scope.now if number % 2 else long_ago
            scope.session.add(
                EnergyAccount(
                    id=uuid7(long_ago), room_id=room, opened_on=account.opened_on,
                    balance=Decimal(-1), counted=Decimal(1), counted_at=read_at,
                    warned_at=long_ago, empty_at=long_ago,
                )
            )  # fmt: skip
        scope.session.flush()
        assert supply.cut_empty(scope) == 1
        assert account_of(scope, dormitory).supply is Supply.CUTTING


def test_the_interlock_refuses_people_as_well(installation, dormitory, by_rule):
    with opened(installation, dormitory) as scope:
        services.settle(scope)
        top_up(scope, dormitory, "5")
        device = scope.get(Device, dormitory.device_id)
        with pytest.raises(Conflict, match="用尽"):
            order_command(scope, device, "trip", "预付费用尽", Ground.ENERGY_ARREARS)
        services.protect(scope, account_of(scope, dormitory), Protection.MEDICAL)
        with pytest.raises(Conflict, match="保护"):
            order_command(scope, device, "trip", "违规", Ground.DORMITORY_RULE, policy="规定")
        assert order_command(scope, device, "trip", "冒烟", Ground.SAFETY).state == "proposed"
        assert order_command(scope, device, "close", "检查").state is CommandState.QUEUED


def power(scope, dormitory, sequence, kw):
    record_readings(
        scope,
        [Reading(dormitory.device_id, "power", Decimal(str(kw)), Quality.GOOD, None,
                 scope.now + timedelta(seconds=sequence), sequence, "kW", PointKind.GAUGE)],
    )  # fmt: skip


def test_a_forbidden_appliance_trips_and_comes_back_three_times_a_day(
    installation, dormitory, by_rule
):
    with opened(installation, dormitory) as scope, entered(scope, "dougong.device.record", None):
        account = account_of(scope, dormitory)
        for trip in range(1, 5):
            power(scope, dormitory, 2 * trip, 0.2)
            assert account_of(scope, dormitory).supply is Supply.ON
            power(scope, dormitory, 2 * trip + 1, 1.3)
            account = account_of(scope, dormitory)
            assert (account.supply, account.cut_reason) == (Supply.CUTTING, CutReason.MALICIOUS)
            assert (account.trips, account.restore_at is None) == (trip, trip == 4)
            account.supply, account.cut_reason = Supply.ON, None
            scope.session.flush()
        assert {c.ground for c in commands(scope)} == {Ground.DORMITORY_RULE}


def test_what_comes_back_with_the_supply_is_no_jump(installation, dormitory, by_rule):
    with opened(installation, dormitory) as scope, entered(scope, "dougong.device.record", None):
        power(scope, dormitory, 1, 0)
        account = account_of(scope, dormitory)
        account.back_at = scope.now + timedelta(seconds=2)
        scope.session.flush()
        power(scope, dormitory, 3, 1.4)
        assert account_of(scope, dormitory).supply is Supply.ON
        power(scope, dormitory, 4, 0.2)
        power(scope, dormitory, 5, 1.4)
        assert account_of(scope, dormitory).cut_reason is CutReason.MALICIOUS


def test_who_is_protected_is_left_on_whatever_he_takes(installation, dormitory, by_rule):
    with opened(installation, dormitory) as scope, entered(scope, "dougong.device.record", None):
        services.protect(scope, account_of(scope, dormitory), Protection.MINIMUM)
        for sequence, kw in ((1, 0.2), (2, 4), (3, 4)):
            power(scope, dormitory, sequence, kw)
        assert commands(scope) == []


# --- over a real line -----------------------------------------------------------------------------


def test_a_supply_goes_off_over_the_line_and_is_back_within_a_minute_of_the_top_up(
    installation, dormitory, by_rule, tmp_path
):
    drivers, owners = drivers_of(installation)
    with opened(installation, dormitory) as scope:
        device = simulated_device(scope.get(Device, dormitory.device_id), drivers)
        empty(scope, dormitory)
        services.settle(scope)

    async def story():
        responder = drivers.working["dlt645"].simulator([device], Transport.RTU_TCP)
        async with SimulatedGateway(responder) as served:
            await asyncio.to_thread(aim, served.port)
            store = DatabaseStore(installation, owners, Spool(tmp_path))
            async with Host(store, drivers.working, flush_s=0.1, reload_s=0.3):
                off = await until(Supply.OFF)
                assert responder.lives[0].is_cut and off.readback == "True"
                started = time.monotonic()
                await asyncio.to_thread(pay)
                back = await until(Supply.ON)
                assert not responder.lives[0].is_cut and back.readback == "False"
                return time.monotonic() - started

    def aim(port):
        with opened(installation, dormitory) as scope:
            scope.get(Gateway, dormitory.gateway_id).port = port

    def pay():
        with opened(installation, dormitory) as scope:
            top_up(scope, dormitory, "100")

    def look():
        with opened(installation, dormitory) as scope:
            services.settle(scope)
            account = account_of(scope, dormitory)
            return account.supply, scope.get(DeviceCommand, account.command_id)

    async def until(state):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                supply, command = await asyncio.to_thread(look)
                if supply is state:
                    return command
                await asyncio.sleep(0.1)

    assert asyncio.run(story()) < 60
    with opened(installation, dormitory) as scope:
        sent = [(c.name, c.state) for c in commands(scope)]
        assert sent == [("trip", CommandState.CONFIRMED), ("close", CommandState.CONFIRMED)]
        account = scope.get(EnergyAccount, dormitory.account_id)
        assert account.balance > 0 and account.back_at is not None
