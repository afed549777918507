"""Bugs of documents and schemas."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

ORACLE = "tests/documents/test_schema.py::test_documents_are_judged_as_by_the_oracle"
CRASH = "tests/fault/test_crash_in_schema.py::test_many_crashes_in_setting_schemas"

DOCUMENTS: Final[dict[str, Bug]] = {
    "path-into-arrays": Bug(
        "blockdb/documents/paths.py",
        "values = [value[part] for value in values if type(value) is dict and part in value]",
        "values = [value.get(part) for value in values if type(value) is dict]",
        ("tests/documents/test_paths.py::test_what_is_missing_is_not_found",),
        "Behind `[]`, what is missing is found as null.",
    ),
    "nan-as-null": Bug(
        "blockdb/documents/values.py",
        "        if value - value != 0:\n",
        "        if False:\n",
        ("tests/documents/test_values.py::test_what_json_cannot_hold_is_refused_with_its_path",),
        "Not-a-number is stored as null.",
    ),
    "deeper-than-is-said": Bug(
        "blockdb/documents/values.py",
        "        _check_depth(document, raw)\n",
        "        pass\n",
        ("tests/documents/test_values.py::test_depth_is_the_same_for_bytes_and_objects",),
        "Bytes may be nested more deeply than objects.",
    ),
    "true-is-an-integer": Bug(
        "blockdb/documents/compiled.py",
        '"type(v) is not int",',
        '"not isinstance(v, int)",',
        ("tests/documents/test_schema.py::test_what_is_of_a_type",),
        "True is taken for an integer.",
    ),
    "quick-check-forgets-members": Bug(
        "blockdb/documents/compiled.py",
        "        if node.each is not None and node.each.kind is not None:\n",
        "        if False:\n",
        ("tests/documents/test_schema.py::test_the_quick_check_looks_into_arrays",),
        "The quick check does not look into arrays.",
    ),
    "required-in-what-is-missing": Bug(
        "blockdb/documents/tree.py",
        "return self.required or (self.definition is None and any(",
        "return self.required or (any(",
        ("tests/documents/test_schema.py::test_what_must_be_there_says_so_where_its_object_is_not_named",),
        "An object that may be missing must be there because of its members.",
    ),
    "last-line-break": Bug(
        "blockdb/documents/patterns.py",
        r'end = r"\Z" if simple[2] else ""',
        r'end = "$" if simple[2] else ""',
        ("tests/documents/test_patterns.py::test_a_line_break_at_the_end_is_not_the_end",),
        "A pattern matches before a last line break.",
    ),
    "float-to-integer": Bug(
        "blockdb/documents/evolution.py",
        "_WIDER: Final = {(FieldType.INTEGER, FieldType.FLOAT),",
        "_WIDER: Final = {(FieldType.FLOAT, FieldType.INTEGER), (FieldType.INTEGER, FieldType.FLOAT),",
        ("tests/documents/test_evolution.py::test_incompatible_changes",),
        "A schema may narrow a type.",
    ),
    "stale-schema": Bug(
        "blockdb/storage/index_keeper.py",
        "return in_use is self.in_use and schemas is self.store.metadata.schemas",
        "return in_use is self.in_use",
        ("tests/database/test_schemas.py::test_what_was_prepared_under_another_schema_is_not_stored",),
        "A document that was checked against the schema before is stored under the new one.",
    ),
    "records-that-came-meanwhile": Bug(
        "blockdb/database/schemas.py",
        "            _look(store, validator, looked)\n        metadata",
        "            pass\n        metadata",
        ("tests/database/test_schemas.py::test_records_that_come_while_others_are_looked_at",),
        "Records that came while the others were looked at are not held against a new schema.",
    ),
    "schema-before-its-records": Bug(
        "blockdb/storage/store.py",
        "        self._log.force()\n        try:\n",
        "        try:\n",
        (CRASH,),
        "A schema's first record is beyond what a power cut leaves.",
    ),
    "schema-told-twice": Bug(
        "blockdb/database/schemas.py",
        '            if (event["collection"], event["version"]) == (collection, entry.version):\n',
        "            if False:\n",
        (CRASH,),
        "After a crash the journal tells of a schema twice.",
    ),
    "schema-loosened-unseen": Bug(
        "blockdb/audit/schemas.py",
        "            elif entries[version].schema != schema:\n",
        "            elif False:\n",
        ("tests/database/test_schemas.py::test_an_audit_holds_schemas_against_the_journal",),
        "An audit does not notice that a schema is another one than the journal tells of.",
    ),
    "attachment-keeps-the-schema": Bug(
        "blockdb/storage/attachment.py",
        "        if identity != self._metadata_identity:\n",
        "        if self._metadata_identity is None:\n",
        ("tests/database/test_schemas.py::test_an_attachment_sees_the_schema_that_the_writer_set",),
        "An attachment goes by the schema that it saw first.",
    ),
}
