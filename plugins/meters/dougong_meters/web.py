"""Pages of meters: an owner's usage, the round of reading on the phone, the balance of losses."""

from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from uuid import UUID

from flask import Flask, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from dougong.db import Scope, member_label
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.tenancy.models import Building
from dougong.web.admin.menu import menu_page
from dougong.web.app import plugin_blueprint, require_scope
from dougong.web.charts import bar_chart
from dougong.web.places_heat import FloorShare, floors_heat, rooms_heat
from dougong_meters import cards, services
from dougong_meters.models import Commodity

blueprint = plugin_blueprint("meters", __name__, static_folder="static")
MONTHS = 12
RECORD, VIEW = "meters.reading.record", "meters.meter.view"
COMMUNITY = "community"


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application, and those for staff to the menu."""
    app.register_blueprint(blueprint)
    menu_page(
        "meters.route", ("Reading round", "抄表路线"), RECORD, plugin="meters", icon="navigation",
        order=25, only_in="community",
    )  # fmt: skip
    menu_page(
        "meters.balance", ("Loss balance", "总分表平衡"), VIEW, plugin="meters",
        icon="bar-chart-2", order=35, only_in="community",
    )  # fmt: skip
    menu_page(
        "meters.usage_map", ("Usage map", "用量热力图"), VIEW, plugin="meters",
        icon="grid", order=36, only_in="community",
    )  # fmt: skip


@blueprint.get("/my/")
def mine() -> str:
    """Show the usage of the last year of whoever is signed in, and the meters that he may read."""
    scope = require_scope()
    rooms = services.my_rooms(scope)
    used = cards.months_of(scope, rooms, MONTHS)
    return render_template(
        "meters/my.html",
        kinds=[_year(kind, used) for kind in Commodity if any(k is kind for _, k, _ in used)],
        meters=services.meters_of_rooms(scope, rooms),
        member=member_label,
        uom=cards.UOM,
        number=cards.plain_number,
        zone=scope.zone,
        sent=request.args.get("sent"),
    )


def _year(kind: Commodity, used: list) -> dict:
    """Return a commodity's months, newest first, and their chart, oldest first."""
    months = [(month, u) for month, each, u in used if each is kind]
    sums: dict[date, Decimal] = {}
    for month, u in reversed(months):
        sums[month] = sums.get(month, Decimal(0)) + u.quantity
    chart = bar_chart([(f"{month.month}", amount) for month, amount in sums.items()])
    return {"kind": kind, "uom": cards.UOM[kind], "months": months, "chart": chart}


@blueprint.route("/my/<uuid:meter_id>", methods=["GET", "POST"])
def read_mine(meter_id: UUID) -> str | Response | tuple[str, int]:
    """Let a resident send what one of his meters shows, with the photo that proves it."""
    scope, problem = require_scope(), ""
    meter = services.my_meter(scope, meter_id)
    if request.method == "POST":
        photo = request.files.get("photo")
        try:
            value = _number(request.form.get("value", ""))
            if photo is None or not photo.filename:
                fields = {"photo": gettext("Take a photo on which the digits can be read.")}
                raise Invalid(N_("Some fields are not right yet."), fields=fields)
            services.send_reading(scope, meter, value, photo.filename, photo.stream)
            return redirect(url_for(".mine", sent=1), 303)
        except Invalid as error:
            problem = next(iter(error.fields.values()), None) or translate_error(error)
    shown = render_template(
        "meters/my_reading.html", meter=meter, uom=cards.UOM[meter.commodity], problem=problem,
        given=request.form.get("value", ""), number=cards.plain_number, member=member_label,
    )  # fmt: skip
    return (shown, 422) if problem else shown


# --- the round of reading -------------------------------------------------------------------------


def _reader() -> Scope:
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require(RECORD)
    return scope


def _place(building: str) -> UUID | None:
    """Return the building in an address; raises NotFound for what is no id."""
    if building == COMMUNITY:
        return None
    try:
        return UUID(building)
    except ValueError as error:
        raise NotFound(N_("There is no such page.")) from error


def _commodity(value: str) -> Commodity:
    try:
        return Commodity(value)
    except ValueError as error:
        raise NotFound(N_("There is no such page.")) from error


@blueprint.get("/route/")
def route() -> str:
    """Show where meters are read by hand, and how far this month's round is."""
    return render_template(
        "meters/route.html", stretches=services.stretches(_reader()), commodity=Commodity,
        member=member_label, whole=COMMUNITY,
    )  # fmt: skip


@blueprint.get("/route/<building>/<commodity>")
def stop(building: str, commodity: str) -> str:
    """Show the next meter of a stretch, or that all are read."""
    return _stop(_reader(), building, commodity)


@blueprint.post("/route/<building>/<commodity>")
def read(building: str, commodity: str) -> Response | tuple[str, int]:
    """Record a reading and go to the next meter; a doubtful one is shown again with the reason."""
    scope, form = _reader(), request.form
    meter_id = _meter_id(form.get("meter", ""))
    photo = request.files.get("photo")
    try:
        services.record_at(
            scope,
            meter_id,
            _number(form.get("value", "")),
            is_confirmed=form.get("is_confirmed") == "true",
            photo=(photo.filename, photo.stream) if photo and photo.filename else None,
        )
    except Invalid as error:
        problem = next(iter(error.fields.values()), None) or translate_error(error)
        again = {"problem": problem, "given": form.get("value", ""), "meter_id": meter_id}
        is_doubtful = error.code == "meters.implausible"
        return _stop(scope, building, commodity, is_doubtful=is_doubtful, **again), 422
    return redirect(
        url_for(".stop", building=building, commodity=commodity, done=1, after=meter_id), 303
    )


def _stop(
    scope: Scope, building: str, commodity: str, *, meter_id: UUID | None = None, **more: object
) -> str:
    place, kind = _place(building), _commodity(commodity)
    after = request.args.get("after", type=UUID)
    found = (
        services.stop_at(scope, meter_id) if meter_id
        else services.next_stop(scope, place, kind.value, after)
    )  # fmt: skip
    of = [s for s in services.stretches(scope) if (s.building_id, s.commodity) == (place, kind)]
    return render_template(
        "meters/stop.html",
        stop=found,
        stretch=of[0] if of else None,
        title=scope.get(Building, place).name if place else scope.place.name,
        building=building,
        commodity=kind,
        uom=cards.UOM[kind],
        member=member_label,
        number=cards.plain_number,
        zone=scope.zone,
        **{"problem": "", "given": "", "is_doubtful": False, **more},
    )


def _meter_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise NotFound(N_("There is no such record here (%(kind)s)."), kind="meter") from error


def _number(text: str) -> Decimal:
    """Return the number that somebody typed; raises Invalid."""
    try:
        value = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value < 10**13:
        problem = gettext("Type the digits that the meter shows.")
        raise Invalid(N_("Some fields are not right yet."), fields={"value": problem})
    return value


# --- losses ---------------------------------------------------------------------------------------


@blueprint.route("/balance", methods=["GET", "POST"])
def balance() -> str | Response:
    """Show main meters against the meters behind them, for a month and a commodity."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require(VIEW)
    main, given = services.main_commodity(scope), request.values
    kind = _commodity(given.get("commodity") or main.commodity)
    start = _month(scope, given.get("month", ""))
    if request.method == "POST":
        services.reckon_balance(scope, start, kind)
        here = url_for(".balance", month=f"{start:%Y-%m}", commodity=kind.value)
        return redirect(here, 303)
    shown = services.shown_balance(scope, kind, start, are_few=main.are_few)
    found = shown.places
    places = select(Building).where(Building.id.in_([b.building_id for b in found]))
    names = {building.id: building.name for building in scope.session.scalars(places)}
    return render_template(
        "meters/balance.html", found=found, names=names, commodity=kind, kinds=Commodity,
        member=member_label, month=start, uom=cards.UOM[kind], number=cards.plain_number,
        limit=Decimal(scope.setting("meters.loss_percent", 8)) / 100, shown=shown,
        are_few=main.are_few, may_reckon=scope.may("meters.month_balance.reckon"),
        most=max([b.main or b.behind for b in found], default=Decimal(0)),
    )  # fmt: skip


# --- heat map -------------------------------------------------------------------------------------


@blueprint.get("/map")
def usage_map() -> str:
    """Show what was used in a month by building and floor, or by the rooms of one building."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require(VIEW)
    given_kind = request.args.get("commodity")
    kind = _commodity(given_kind) if given_kind else services.main_commodity(scope).commodity
    start = _month(scope, request.args.get("month", ""))
    building = request.args.get("building", "")
    given = {"commodity": kind.value, "month": f"{start:%Y-%m}"}
    place = _place(building) if building else None
    number = cards.plain_number

    def shown(used: Decimal) -> str:
        return number(round(used, 1))

    if place is None:
        used = services.usage_by_floor(scope, start, kind.value)
        floors = [FloorShare(*each) for each in used if each.rooms or each.unknown]
        by_floor = partial(url_for, ".usage_map", **given)
        found = floors_heat(scope, floors, shown, lambda one: by_floor(building=one))
    else:
        found = rooms_heat(
            scope, lambda rooms: services.usage_by_room(scope, rooms, start, kind.value), shown,
            lambda room: f"/{scope.url_part}/admin/meters/meter/?room={room}", place,
        )  # fmt: skip
    return render_template(
        "meters/usage_map.html", found=found, commodity=kind, kinds=Commodity, member=member_label,
        month=start, uom=cards.UOM[kind], number=number, building=building, given=given,
    )  # fmt: skip


def _month(scope: Scope, text: str) -> date:
    """Return the first day of the month in ``text`` (``2026-10``), by default of the last one."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return cards.last_month(scope.today)[0]
