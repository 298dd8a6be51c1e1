"""Plugins that are broken on purpose, one for each place where a plugin's code runs.

Each fault is the sample plugin with one file wrong. Tests and `dougong.plugins.gate` plant them
beside sound plugins and look whether anything else suffers.
"""

from dataclasses import dataclass, field
from pathlib import Path

from dougong.testing.planting import plant

HOOKS = '''"""What the plugin answers when others ask."""

from dougong.hookspecs import Card, hookimpl
{imports}

@hookimpl
def dashboard_cards(scope):
{body}
'''
RAISING = HOOKS.format(imports="", body='    raise RuntimeError("planted in a hook")')
WRITING = HOOKS.format(
    imports="from sqlalchemy import text\n",
    body=(
        "    scope.session.execute(text(\"update dougong.building set name = 'broken'\"))\n"
        '    scope.session.execute(text("select 1 / 0"))'
    ),
)
WRONG_ARGUMENT = HOOKS.format(imports="", body="    return None").replace("(scope)", "(colour)")
UNKNOWN_HOOK = RAISING.replace("def dashboard_cards", "def dashbord_cards")
WEB = '''"""Pages of the plugin."""

from dougong.web.app import plugin_blueprint
from flask import render_template, render_template_string

blueprint = plugin_blueprint("{plugin}", __name__)


@blueprint.get("/page")
def page():
    {body}


def install(app, installation):
    app.register_blueprint(blueprint)
'''
RELATION = (
    "    building: Mapped[Building | None] = to_one(building_id, Building)",
    "    building: Mapped[Building | None] = to_one(building_id, Building)\n"
    '    lost: Mapped["Nowhere"] = relationship("Nowhere")',
)
WAY_BACK = (
    "    building: Mapped[Building | None] = to_one(building_id, Building)",
    "    building: Mapped[Building | None] = relationship(\n"
    '        Building, backref="items", viewonly=True,\n'
    '        primaryjoin="Item.building_id == foreign(Building.id)")',
)
KERNEL_BASE = (
    'Base = plugin_base("{plugin}")',
    "from dougong.db.base import KernelBase as Base\n\nplugin_base",
)
NOWHERE = ('ref("dougong.building"', 'ref("nowhere.building"')
IMPORT_RELATION = (
    "from sqlalchemy.orm import Mapped, mapped_column",
    "from sqlalchemy.orm import Mapped, mapped_column, relationship",
)
FAILING_REVISION = '''"""A revision that cannot run."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("alter table {plugin}.item add column half text")
    op.execute("select 1 / 0")
'''
FORK = {
    f"migrations/versions/0002_{name}.py": f'revision = "{name}"\ndown_revision = "0001"\n'
    for name in "ab"
}
JOB = '''

@service("item.remind", title=("Remind", "提醒"))
def remind(scope: Scope) -> None:
    """Fail like a job whose author did not think of something."""
    raise RuntimeError("planted in a job")
'''
DRIVER = """
[[drivers]]
id = "{plugin}_driver"
path = "dougong_{plugin}.drivers.broken:driver"
"""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a plugin.

    place: where its code fails: ``boot`` (it cannot be loaded), ``upgrade``, ``hook``, ``admin``,
    ``pages``, ``view``, ``job`` or ``driver``. point: how the repairs page names it.
    """

    place: str
    point: str
    files: dict[str, str] = field(default_factory=dict)
    replace: dict[str, tuple[str, str]] = field(default_factory=dict)
    append: dict[str, str] = field(default_factory=dict)

    def plant(self, folder: Path, plugin: str, version: str = "0.2.0") -> Path:
        """Write the broken plugin into ``folder``; return its package."""
        package = plant(
            folder,
            plugin,
            {
                name.replace("{plugin}", plugin): text.replace("{plugin}", plugin)
                for name, text in self.files.items()
            },
        )
        changes = [("manifest.toml", ('version = "0.1.0"', f'version = "{version}"'))]
        for name, (old, new) in [*changes, *self.replace.items()]:
            path = package / name
            before = path.read_text("utf-8")
            old, new = old.replace("{plugin}", plugin), new.replace("{plugin}", plugin)
            if old not in before:
                raise ValueError(f"{old!r} is not in {path}")
            path.write_text(before.replace(old, new), "utf-8")
        for name, text in self.append.items():
            with (package / name).open("a", encoding="utf-8") as file:
                file.write(text.replace("{plugin}", plugin))
        if "relationship" in (package / "models.py").read_text("utf-8"):
            models = package / "models.py"
            models.write_text(models.read_text("utf-8").replace(*IMPORT_RELATION), "utf-8")
        return package


FAULTS = {
    "the package raises": Fault("boot", "import", {"__init__.py": "raise RuntimeError('planted')"}),
    "a syntax error": Fault("boot", "import", {"services.py": "def half(:\n"}),
    "the import exits": Fault("boot", "import", {"services.py": "raise SystemExit('planted')"}),
    "a missing library": Fault("boot", "import", {"services.py": "import nowhere_to_be_found\n"}),
    "a bad relation": Fault("boot", "mapper", replace={"models.py": RELATION}),
    "a way back on a kernel class": Fault("boot", "mapper", replace={"models.py": WAY_BACK}),
    "models on the kernel's base": Fault("boot", "import", replace={"models.py": KERNEL_BASE}),
    "a reference to nowhere": Fault("boot", "mapper", replace={"models.py": NOWHERE}),
    "a revision that cannot be read": Fault(
        "boot", "migration", {"migrations/versions/0002_half.py": "def half(:\n"}
    ),
    "revisions that fork": Fault("boot", "migration", FORK),
    "a hook that nobody asks": Fault("boot", "hooks", {"hooks.py": UNKNOWN_HOOK}),
    "an argument that a hook has not": Fault("boot", "hooks", {"hooks.py": WRONG_ARGUMENT}),
    "a failing migration": Fault(
        "upgrade", "migration", {"migrations/versions/0002_half.py": FAILING_REVISION}
    ),
    "a raising hook": Fault("hook", "hook dashboard_cards", {"hooks.py": RAISING}),
    "a hook that spoils the transaction": Fault(
        "hook", "hook dashboard_cards", {"hooks.py": WRITING}
    ),
    "an admin that cannot be imported": Fault(
        "admin", "import admin", {"admin.py": "raise RuntimeError('planted')"}
    ),
    "pages that cannot be imported": Fault(
        "pages", "import web", {"web.py": "from nowhere import blueprint\n"}
    ),
    "pages that cannot be installed": Fault(
        "pages", "import web", {"web.py": "def install(app, installation):\n    1 / 0\n"}
    ),
    "a raising view": Fault(
        "view",
        "view {plugin}.page",
        {"web.py": WEB.replace("{body}", 'raise RuntimeError("planted")')},
    ),
    "a template that is wrong": Fault(
        "view",
        "view {plugin}.page",
        {"web.py": WEB.replace("{body}", 'return render_template_string("{% if %}")')},
    ),
    "a template that is not there": Fault(
        "view",
        "view {plugin}.page",
        {"web.py": WEB.replace("{body}", 'return render_template("{plugin}/nowhere.html")')},
    ),
    "a raising job": Fault("job", "job {plugin}.item.remind", append={"services.py": JOB}),
    "a driver that cannot be imported": Fault(
        "driver",
        "driver {plugin}_driver",
        {
            "drivers/__init__.py": '"""Drivers."""\n',
            "drivers/broken.py": "raise RuntimeError('planted')",
        },
        replace={"manifest.toml": ('["jobs", ', '["devices", "jobs", ')},
        append={"manifest.toml": DRIVER},
    ),
}
