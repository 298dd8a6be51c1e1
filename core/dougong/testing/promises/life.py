"""Promises about a plugin's life: installed, switched on and off, put aside and brought back."""

from collections.abc import Iterator

from dougong.testing.promises import Subject, promise


@promise
def it_is_installed_on_an_empty_system_and_lives_to_the_end(subject: Subject) -> Iterator[str]:
    if "failed" in subject.life:
        yield subject.life["failed"]


@promise
def its_dry_run_is_what_runs(subject: Subject) -> Iterator[str]:
    planned, ran, is_same = subject.life.get("planned_and_run", (0, 0, True))
    if not is_same:
        yield f"{planned} statements were shown and {ran} ran"
    if subject.life.get("left_to_do"):
        yield f"left to do after installing: {subject.life['left_to_do'][0]}"


@promise
def switching_it_is_seen_by_another_process(subject: Subject) -> Iterator[str]:
    seen = subject.life.get("seen", [False, True, False, True])
    if seen != [False, True, False, True]:
        yield f"off, on, off, on was seen as {seen}"


@promise
def its_rows_are_seen_in_their_own_community_only(subject: Subject) -> Iterator[str]:
    yield from subject.life.get("seen_elsewhere", ())


@promise
def uninstalling_puts_all_of_it_aside(subject: Subject) -> Iterator[str]:
    if subject.life.get("schema_left"):
        yield f"the schema {subject.manifest.schema} is still there"
    if subject.life.get("loaded_after_uninstall"):
        yield "its code still runs"


@promise
def restoring_brings_back_every_row_as_it_was(subject: Subject) -> Iterator[str]:
    life = subject.life
    if life.get("archived_rows") != life.get("restored_rows"):
        yield f"{life['archived_rows']} rows went, {life['restored_rows']} came back"
    yield from (f"{table} came back changed" for table in life.get("changed", ()))
    yield from (f"orphans of {constraint}" for constraint in life.get("orphans", ()))
    if not life.get("works_again", True):
        yield "it does not work after restoring"


@promise
def nothing_of_it_is_left_when_it_is_unloaded(subject: Subject) -> Iterator[str]:
    yield from subject.life.get("left", ())


@promise
def it_fails_nowhere_along_the_way(subject: Subject) -> Iterator[str]:
    yield from subject.life.get("failures", ())
