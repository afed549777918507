"""Bugs of what asks who is there: tokens, the address, certificates."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

TOKENS: Final = "tests/server/test_tokens.py"
TLS: Final = "tests/server/test_tls.py"
EXPOSURE: Final = "tests/security/test_exposure.py"
MATRIX: Final = "tests/server/test_matrix.py"
EVERYBODY: Final = f"{MATRIX}::test_everybody_may_do_what_the_matrix_says_and_nothing_else[1-json]"
UNSEEN: Final = f"{MATRIX}::test_who_is_denied_does_not_learn_what_exists[1-json]"
REACHES: Final = "tests/server/test_reaches.py"

GUARD: Final[dict[str, Bug]] = {
    "any-secret": Bug(
        "blockdb/server/authentication.py",
        "if not compare_digest(hash_of(secret), NOBODY if found is None else found.secret_sha256) or found is None:",
        "if not compare_digest(hash_of(secret), hash_of(secret)) or found is None:",
        (f"{TOKENS}::test_what_is_not_a_token_lets_nobody_in",),
        "Who knows the id of a token is let in.",
    ),
    "never-expires": Bug(
        "blockdb/server/authentication.py",
        "if token.is_expired(self._clock() * 1000):",
        "if token.is_expired(self._clock()):",
        (f"{TOKENS}::test_an_expired_token",),
        "A token is good for a thousand times as long: seconds are taken for milliseconds.",
    ),
    "revoked-and-good": Bug(
        "blockdb/server/authentication.py",
        "if None in identity or identity != before.identity:",
        "if not before.identity:",
        (f"{TOKENS}::test_it_is_revoked_within_a_second",),
        "A server goes on with the tokens that it read first.",
    ),
    "damaged-is-empty": Bug(
        "blockdb/server/authentication.py",
        'known = _Known(problem="Nobody is let in, because the list of tokens is damaged or cannot be read.")',
        "known = before",
        (f"{TOKENS}::test_every_flipped_byte_shuts_the_door[11]",),
        "Where the list of tokens is damaged, the last one that was good counts on.",
    ),
    "opens-again": Bug(
        "blockdb/server/authentication.py",
        "self._has_had_tokens |= known.identity != before.identity or known.problem is not None",
        "self._has_had_tokens = bool(known.by_id)",
        (f"{TOKENS}::test_where_nobody_has_to_say_who_they_are",),
        "With the last token, the need for one goes away, and everybody is admin.",
    ),
    "unknown-limit": Bug(
        "blockdb/security/tokens.py",
        "if unknown := values.keys() - _KEYS:",
        "if unknown := values.keys() - _KEYS - values.keys():",
        (f"{TOKENS}::test_what_is_not_understood_shuts_the_door",),
        "A limit that a newer version wrote is passed over.",
    ),
    "lost-token": Bug(
        "blockdb/server/tokens.py",
        "lock = self._lock()\n            try:\n                yield self._load() if self.path.exists() else ()",
        "before = self._load() if self.path.exists() else ()\n            lock = self._lock()\n            try:\n"
        "                yield before",
        (f"{TOKENS}::test_many_at_a_time_lose_nothing",),
        "Of two that change the tokens at the same time, one undoes what the other did.",
    ),
    "open-to-all": Bug(
        "blockdb/security/exposure.py",
        "is_public = not is_loopback(host)",
        'is_public = not is_loopback(host or "localhost")',
        (EXPOSURE,),
        "The empty name, which is every address, is taken for the loopback address.",
    ),
    "half-a-pair": Bug(
        "blockdb/server/tls.py",
        "    _check_key(files.key, pem.key, certificate)\n",
        "",
        (TLS,),
        "A certificate is taken up before its key is there.",
    ),
    "old-certificate": Bug(
        "blockdb/server/tls.py",
        "connection.context = self._loaded.context",
        "del connection",
        (TLS,),
        "New connections get the certificate that the server began with.",
    ),
    "anybodys-certificate": Bug(
        "blockdb/server/tls.py",
        "context.verify_mode = ssl.CERT_REQUIRED",
        "context.verify_mode = ssl.CERT_OPTIONAL",
        (f"{TLS}::test_who_gets_a_connection",),
        "A client without a certificate is let in where one is needed.",
    ),
    "ids-tell": Bug(
        "blockdb/server/service.py",
        "return named if allowed is None or allowed & {named.collection, named.whole} else reach",
        "return named",
        (UNSEEN,),
        "Who asks for the id of somebody else's collection learns its name.",
    ),
    "names-tell": Bug(
        "blockdb/server/service.py",
        "if allowed is None or asked in allowed:",
        "if asked:",
        (UNSEEN,),
        "Who may not touch a collection learns whether there is it.",
    ),
    "empty-import": Bug(
        "blockdb/server/service.py",
        "            if first is not None:\n                self.permit(call, first)\n",
        "",
        (f"{MATRIX}::test_an_import_is_denied_before_it_is_read",),
        "Nobody is asked whether they may import before a record has come.",
    ),
    "cursor-beyond": Bug(
        "blockdb/server/handlers/records.py",
        'start = max(start or b"", behind + b"\\0")',
        'start = behind + b"\\0"',
        (f"{MATRIX}::test_nobody_reads_beyond_their_prefix_with_a_cursor_of_their_own",),
        "Who writes a cursor reads keys before the range that they may read.",
    ),
    "no-prefix": Bug(
        "blockdb/security/roles.py",
        "if principal.prefix and not _is_within(principal.prefix, reach):",
        "if principal.prefix and reach.keys and not _is_within(principal.prefix, reach):",
        (EVERYBODY,),
        "A token for keys with a prefix is good for scans of everything.",
    ),
    "some-keys": Bug(
        "blockdb/security/roles.py",
        "return all(key.startswith(prefix) for key in reach.keys)",
        "return any(key.startswith(prefix) for key in reach.keys)",
        (EVERYBODY,),
        "Of a batch one key is looked at.",
    ),
    "shared-end": Bug(
        "blockdb/wire/reaching.py",
        "if prefix[-1] < 0xFF and end <= prefix[:-1] + bytes([prefix[-1] + 1]):",
        "if prefix[-1] < 0xFF and end[:length] <= prefix[:-1] + bytes([prefix[-1] + 1]):",
        (REACHES,),
        "A range is taken to keep to a prefix that it goes beyond.",
    ),
    "wrong-right": Bug(
        "blockdb/wire/table.py",
        '"redact", "POST", f"{ONE}/redact", MANAGE,',
        '"redact", "POST", f"{ONE}/redact", WRITE,',
        (EVERYBODY,),
        "Who may write may erase.",
    ),
    "groups-unguarded": Bug(
        "blockdb/server/gathering.py",
        "                service.permit(call, request)\n",
        "",
        (f"{MATRIX}::test_the_other_ways_of_a_write_are_guarded_alike[1-json]",),
        "Writes that wait for the disk are stored whoever asks.",
    ),
}
