"""Bugs of the door for gRPC, and of how messages are told in it."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

CONVERSION: Final = "tests/server/grpc/test_conversion.py"
METHODS: Final = "tests/server/grpc/test_methods.py"
LIMITS: Final = "tests/server/grpc/test_limits.py"

GRPC: Final[dict[str, Bug]] = {
    "absent-is-zero": Bug(
        "blockdb/server/grpc/reading.py",
        "if source.HasField(name):",
        "if source is not None:",
        (f"{CONVERSION}::test_what_is_not_there_is_the_default",),
        "What a client left out counts as zero or empty, not as the default.",
    ),
    "numbers-rounded": Bug(
        "blockdb/server/grpc/mending.py",
        "if not -EXACT_INTEGER_LIMIT <= value <= EXACT_INTEGER_LIMIT:",
        "if value is None:",
        (f"{CONVERSION}::test_a_number_that_would_change_is_refused",),
        "Large integers of documents come out as others.",
    ),
    "numbers-by-name": Bug(
        "blockdb/wire/protobuf.py",
        "enumerate(info.fields, 1)",
        "enumerate(sorted(info.fields, key=lambda one: one.name), 1)",
        ("tests/server/grpc/test_proto.py::test_no_number_changes",),
        "A new field changes the numbers of others.",
    ),
    "pieces-not-asked": Bug(
        "blockdb/server/grpc/calling.py",
        "permitted = self._service.permitted(call, pieces)",
        "permitted = pieces",
        (f"{LIMITS}::test_each_piece_of_an_import_has_to_be_allowed",),
        "Whoever may write somewhere may import anywhere.",
    ),
    "long-metadata": Bug(
        "blockdb/server/grpc/failing.py",
        "if len(packed) <= _MOST_BYTES:",
        "if packed:",
        (f"{METHODS}::test_a_long_error_fits_into_metadata",),
        "A long error is lost, since it is more than clients take.",
    ),
    "any-number-of-streams": Bug(
        "blockdb/server/grpc/calling.py",
        "if options.streams >= options.max_streams:",
        "if options.streams > 100 * options.max_streams:",
        (f"{METHODS}::test_there_are_only_so_many_streams",),
        "Streams are not counted.",
    ),
    "revoked-and-listening": Bug(
        "blockdb/server/service.py",
        "self.authenticator.check(call.principal)\n                yield answer",
        "yield answer",
        (f"{LIMITS}::test_who_is_known_no_more_hears_no_more",),
        "A stream goes on for a token that was revoked.",
    ),
}
