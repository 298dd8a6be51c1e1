"""Every promise of the conformance suite, broken by one planted fault.

A check that cannot fail proves nothing: ``test_plugin_conformance.py`` plants these.
"""

from dougong.testing.faults import Fault

SERVICES, MODELS, MANIFEST = "services.py", "models.py", "manifest.toml"
PO = "locale/zh_Hans_CN/LC_MESSAGES/messages.po"
RECEIVER = "    receiver: Mapped[str | None]"
VERBS = 'item = ["view", "create", "change", "delete", "give_back", "clear_out"]'
INSIDE = "\n\ndef later(scope):\n    {code}\n"
VIEW = "class ItemView(RecordView, model=Item):"
OWN_PAGE = """
from dougong.web.app import plugin_blueprint

blueprint = plugin_blueprint("{plugin}", __name__)


@blueprint.get("/page")
def page():
    raise RuntimeError("planted")


def install(app, installation):
    app.register_blueprint(blueprint)
"""
OPEN_PAGE = """
from functools import partial


def install(app, installation):
    app.add_url_rule("/<scope:scope>/{plugin}/open", "{plugin}_open", partial(str, "open"))
"""


def _inside(code: str) -> Fault:
    """Return a fault in a function that nobody calls: what matters is that it stands there."""
    return Fault("", "", append={SERVICES: INSIDE.replace("{code}", code)})


def _swap(file: str, old: str, new: str) -> Fault:
    return Fault("", "", replace={file: (old, new)})


def _column(line: str) -> Fault:
    """Return a fault in one more column of the sample's model."""
    return _swap(MODELS, RECEIVER, f"    {line}\n{RECEIVER}")


def _revision(statement: str) -> Fault:
    text = (
        f'"""More."""\n\nfrom alembic import op\n\nrevision = "0002"\ndown_revision = "0001"\n\n\n'
        f"def upgrade() -> None:\n    {statement}\n"
    )
    return Fault("", "", {"migrations/versions/0002_more.py": text})


BROKEN: dict[str, Fault] = {
    # the manifest
    "it_is_loaded_and_works": Fault("", "", {SERVICES: "def half(:\n"}),
    "its_package_is_named_after_it": _swap(MANIFEST, 'schema = "', 'schema = "other_'),
    "its_version_is_that_of_its_distribution": _swap("../setup.cfg", "0.1.0", "0.9.0"),
    "it_says_up_to_which_kernel_it_works": _swap(MANIFEST, ">=0.1,<1", ">=0.1"),
    "it_is_named_and_described_in_both_languages": _swap(MANIFEST, "失物招领", "Lost things"),
    "every_setting_is_titled_and_its_default_fits": _swap(MANIFEST, "default = 90", "default = 0"),
    "every_setting_it_reads_is_declared": _inside('scope.setting("{plugin}.nowhere")'),
    "every_job_is_a_service": Fault(
        "", "", append={MANIFEST: '\n[[jobs]]\nid = "nothing"\nschedule = "0 8 * * *"\n'}
    ),
    "every_driver_can_be_loaded": Fault(
        "", "", append={MANIFEST: '\n[[drivers]]\nid = "{plugin}"\npath = "nowhere:driver"\n'}
    ),
    "every_document_has_its_template": Fault(
        "",
        "",
        append={MANIFEST: '\n[[documents]]\nid = "slip"\nname = { en = "S", zh_Hans_CN = "单" }\n'},
    ),
    "every_kind_that_it_posts_is_declared": _inside('scope.post("{plugin}.item.sold", item.id)'),
    "every_fact_that_it_tells_is_declared": _inside('scope.emit("item_lost", item_id=1)'),
    "it_listens_only_to_what_it_depends_on": Fault(
        "", "", append={MANIFEST: '\n[events]\nsubscribes = ["nobody.thing_happened"]\n'}
    ),
    "it_imports_only_plugins_that_it_declares": _inside("import dougong_nobody"),
    "it_uses_no_private_name_of_the_kernel": _inside("from dougong.db.migrator import _config"),
    "its_domain_rules_know_no_framework": Fault("", "", {"domain.py": "import sqlalchemy\n"}),
    "it_declares_the_capabilities_that_it_uses": _inside("import httpx"),
    # tables
    "its_tables_stand_in_its_own_schema": _swap(MODELS, 'plugin_base("', 'plugin_base("other_'),
    "every_model_says_what_it_is": _swap(
        MODELS, '    """An item (物品) that somebody found and handed in."""\n', ""
    ),
    "what_a_name_reads_is_loaded_with_the_list": _swap(
        MODELS, "return self.name", 'return f"{self.name} {self.building}"'
    ),
    "every_record_has_a_name": _swap(MODELS, "def __str__", "def as_text"),
    "every_column_is_labelled_in_both_languages": _swap(
        MODELS, 'String(80), info=label("Fetched by", "领取人")', "String(80)"
    ),
    "every_state_is_named_in_both_languages": _swap(
        MODELS, ', RETURNED=("Returned", "已领取")', ""
    ),
    "no_column_is_a_float": _column(
        'weight: Mapped[float | None] = mapped_column(info=label("Weight", "重量"))'
    ),
    "times_say_by_their_name_what_they_are": _column(
        'seen: Mapped[date | None] = mapped_column(info=label("Seen", "看到"))'
    ),
    "its_references_lead_only_to_what_it_depends_on": _column(
        'other_id: Mapped[UUID | None] = ref("aa_sound.item", info=label("Other", "其他"))'
    ),
    "the_database_protects_its_tables": _revision(
        'op.execute("create view {plugin}.all_items as select * from {plugin}.item")'
    ),
    "its_revisions_make_the_tables_of_its_models": _column(
        'note: Mapped[str | None] = mapped_column(info=label("Note", "备注"))'
    ),
    "its_revisions_form_one_line": Fault(
        "",
        "",
        {
            f"migrations/versions/0002_{n}.py": f'revision = "{n}"\ndown_revision = "0001"\n'
            for n in "ab"
        },
    ),
    "its_revisions_are_sql_only": _revision('op.execute("select 1") or op.get_bind'),
    "every_personal_column_says_its_purpose": _column(
        'lost_by: Mapped[str | None] = encrypted(mask="name", info=label("Lost by", "失主"))'
    ),
    "sealed_values_lie_nowhere_in_clear": Fault(
        "",
        "",
        append={
            MODELS: "\n\ndef copied(target, args, values):\n"
            "    target.receiver = values.get('finder_phone')\n\n\n"
            "__import__('sqlalchemy').event.listen(Item, 'init', copied)\n"
        },
    ),
    "it_declares_no_personal_column_that_is_not_there": _swap(
        MANIFEST, '"item.finder_phone"', '"item.nobodys_phone"'
    ),
    "numbers_of_people_are_encrypted": _column(
        'other_phone: Mapped[str | None] = mapped_column(info=label("Other phone", "另一电话"))'
    ),
    # services, permissions, hooks
    "every_service_is_explained": _swap(
        SERVICES,
        '    """Hand an item over to whoever lost it. Raises Conflict when that has happened'
        ' before."""\n',
        "",
    ),
    "every_service_takes_the_scope_first_and_says_its_types": _swap(
        SERVICES, "receiver: str", "receiver"
    ),
    "every_permission_means_something": _swap(MANIFEST, '"clear_out"]', '"clear_out", "fly"]'),
    "every_right_is_named_in_both_languages": _swap(
        MANIFEST, '"clear_out"]', '"clear_out", "hand_on"]'
    ),
    "every_service_has_its_permission": _swap(MANIFEST, ', "give_back",', ","),
    "every_model_can_be_granted": _swap(MANIFEST, '["view", "create"', '["create"'),
    "its_services_do_nothing_where_it_is_off": _inside(
        "return None\n\n\nlater.service = give_back.service"
    ),
    "its_services_refuse_whom_nobody_allowed": _inside(
        "return None\n\n\nlater.service = give_back.service"
    ),
    "it_leaves_the_commit_to_whoever_opened_the_scope": _inside("scope.session.commit()"),
    "no_error_is_swallowed": _inside("try:\n        1 / 0\n    except Exception:\n        pass"),
    "every_hook_that_it_declares_is_explained": Fault(
        "",
        "",
        {
            "hookspecs.py": "from dougong.hookspecs import hookspec\n\n\n"
            "@hookspec\ndef {plugin}_asked(scope, item):\n    pass\n"
        },
    ),
    "its_answers_are_of_the_kind_that_was_asked_for": _swap(
        "hooks.py", "return [Card(", 'return ["one"] or [Card('
    ),
    "it_asks_together_with_others_on_shared_pages": _swap(
        "hooks.py",
        "count = (yield kept).scalar_one()",
        "count = scope.session.scalar(kept)",
    ),
    # texts and templates
    "every_text_has_its_chinese": _swap("hooks.py", '"Items kept"', '"Items kept by {plugin}"'),
    "every_purpose_has_its_chinese": _swap(MANIFEST, "thank or ask", "thank, or ask"),
    "what_is_filled_in_survives_translation": _swap(PO, "%(item)s 已被领取。", "%(it)s 已领取。"),
    "its_templates_keep_to_the_content_policy": Fault(
        "", "", {"templates/{plugin}/page.html": '<a href="#" onclick="go()">go</a>\n'}
    ),
    "its_templates_can_be_read": Fault("", "", {"templates/{plugin}/page.html": "{% if %}\n"}),
    # pages
    "every_view_shows_what_its_model_has": _swap(
        "admin.py", '"receiver")', '"receiver", "colour")'
    ),
    "every_list_answers_whom_it_should_in_both_languages": _column(
        'missing: Mapped[str | None] = mapped_column(info=label("Missing", "缺失"))'
    ),
    "no_list_answers_whom_nobody_allowed": _swap(
        "admin.py", VIEW, f"{VIEW}\n    may = classmethod(lambda *_: True)\n"
    ),
    "no_page_of_it_answers_where_it_is_off": Fault("", "", {"web.py": OPEN_PAGE}),
    "no_page_of_it_fails": Fault("", "", {"web.py": OWN_PAGE}),
}
# What a process of its own tells of the plugin's life, when the promise is broken.
BROKEN_LIVES: dict[str, dict[str, object]] = {
    "it_is_installed_on_an_empty_system_and_lives_to_the_end": {"failed": "it broke"},
    "its_dry_run_is_what_runs": {"planned_and_run": [3, 4, False]},
    "switching_it_is_seen_by_another_process": {"seen": [False, False, False, True]},
    "its_rows_are_seen_in_their_own_community_only": {"seen_elsewhere": ["item: 2 rows"]},
    "uninstalling_puts_all_of_it_aside": {"schema_left": True},
    "restoring_brings_back_every_row_as_it_was": {"changed": ["item"]},
    "nothing_of_it_is_left_when_it_is_unloaded": {"left": ["a service"]},
    "it_fails_nowhere_along_the_way": {"failures": ["hook plugin_enabled: planted"]},
}
