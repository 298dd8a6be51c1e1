"""A bare Flask-Admin view of bills, as its documentation teaches: the peer of bench/list_page.py.

Usage: python flask_admin_bills.py <database URI>, in an environment with Flask-Admin and
Flask-SQLAlchemy. Reads paths from standard input, one a line; answers each with a line of JSON:
status, bytes, CPU and elapsed milliseconds of this process. It connects past row-level security and
knows no tenants, roles, masks or translations.
"""

import json
import sys
import time

from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Date, ForeignKey, Numeric, String, Uuid

db = SQLAlchemy()


class Person(db.Model):
    """Who pays."""

    __tablename__ = "person"
    __table_args__ = {"schema": "dougong"}
    id = db.Column(Uuid, primary_key=True)
    name = db.Column(String)

    def __str__(self):
        return self.name


class Room(db.Model):
    """What is billed."""

    __tablename__ = "room"
    __table_args__ = {"schema": "dougong"}
    id = db.Column(Uuid, primary_key=True)
    code = db.Column(String)

    def __str__(self):
        return self.code


class Bill(db.Model):
    """A bill."""

    __tablename__ = "bill"
    __table_args__ = {"schema": "fees"}
    id = db.Column(Uuid, primary_key=True)
    kind = db.Column(String)
    title = db.Column(String)
    room_id = db.Column(ForeignKey(Room.id))
    room = db.relationship(Room)
    payer_id = db.Column(ForeignKey(Person.id))
    payer = db.relationship(Person)
    due_on = db.Column(Date)
    amount = db.Column(Numeric)
    paid = db.Column(Numeric)
    balance = db.Column(Numeric)
    state = db.Column(String)


class BillView(ModelView):
    """The view, with columns, filters and search like ours."""

    column_list = ("room", "payer", "title", "due_on", "amount", "paid", "balance", "state")
    column_filters = ("state", "kind", "due_on", "balance")
    column_searchable_list = (Room.code, Person.name)


def main() -> None:
    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI=sys.argv[1], SECRET_KEY="bench")
    db.init_app(app)
    Admin(app).add_view(BillView(Bill, db, endpoint="bill"))
    client = app.test_client()
    for line in sys.stdin:
        cpu, started = time.process_time(), time.perf_counter()
        answer = client.get(line.strip())
        size = len(answer.data)
        spent = ((time.process_time() - cpu) * 1000, (time.perf_counter() - started) * 1000)
        print(json.dumps([answer.status_code, size, *spent]), flush=True)


if __name__ == "__main__":
    main()
