"""Where a server may listen, and who has to say who they are: every combination against rules written out here."""

from __future__ import annotations

from itertools import product

import pytest

from blockdb.errors import ConfigError
from blockdb.security.exposure import AUTHENTICATION, check_exposure, is_loopback

LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1", "::1%lo"]
PUBLIC = [
    "0.0.0.0",
    "::",
    "",
    "192.168.0.1",
    "10.0.0.1",
    "2001:db8::1",
    "example.org",
    "localhost.example.org",
    "127.1",
]


def test_what_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, LOOPBACK))
    assert not any(map(is_loopback, PUBLIC))


@pytest.mark.parametrize(("host", "is_public"), [*((it, False) for it in LOOPBACK), *((it, True) for it in PUBLIC)])
def test_every_combination(host: str, is_public: bool) -> None:
    for tokens, tls, setting, insecure in product((False, True), (False, True), AUTHENTICATION, (False, True)):

        def exposure() -> tuple[bool, bool, str]:
            found = check_exposure(
                host,
                has_tokens=tokens,  # noqa: B023
                has_tls=tls,  # noqa: B023
                authentication=setting,  # noqa: B023
                insecure_public=insecure,  # noqa: B023
            )
            return found.authentication_required, found.follows_tokens, " ".join(found.words)

        if is_public and not insecure and (setting == "off" or not tls or (setting == "auto" and not tokens)):
            with pytest.raises(ConfigError, match=r"^\[security\] (authentication|tls_certificate): ") as error:
                exposure()
            assert str(error.value).endswith(".")
            continue
        required, follows, words = exposure()
        assert required == (setting == "on" or (setting == "auto" and (is_public or tokens)))
        assert follows == (setting == "auto" and not is_public and not tokens)
        assert ("may do everything" in words) == (not required)
        assert ("There is no token yet" in words) == (required and not tokens)
        assert ("Nothing is encrypted" in words) == (is_public and not tls)


def test_a_setting_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"\[security\] authentication: it should be one of auto, on, off"):
        check_exposure("127.0.0.1", has_tokens=True, has_tls=True, authentication="yes")


def test_nobody_is_let_in_from_outside_by_default() -> None:
    with pytest.raises(ConfigError, match=r"--insecure-public"):
        check_exposure("0.0.0.0", has_tokens=False, has_tls=False)
    assert check_exposure("0.0.0.0", has_tokens=True, has_tls=True).authentication_required
