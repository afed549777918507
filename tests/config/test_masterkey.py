"""Where a master key comes from: what is given counts before the environment, and the environment before a person."""

from pathlib import Path

import pytest

from blockdb.errors import ConfigError, MasterKeyError
from blockdb.masterkey import MasterKeySource

KEY = bytes(range(32))


def test_what_is_given_counts_before_a_file_and_that_before_the_environment(tmp_path: Path) -> None:
    file, other = tmp_path / "master.key", tmp_path / "other.key"
    file.write_text(KEY.hex() + "\n")
    other.write_text("11" * 32)
    environ = {"BLOCKDB_MASTER_KEY": "22" * 32, "BLOCKDB_MASTER_KEY_FILE": str(other)}
    sources = [
        (MasterKeySource(file, key=b"k" * 32, environ=environ), b"k" * 32, "the caller"),
        (MasterKeySource(file, environ=environ), KEY, f"the file {file}"),
        (MasterKeySource(environ=environ), b"\x22" * 32, "BLOCKDB_MASTER_KEY"),
        (MasterKeySource(environ={"BLOCKDB_MASTER_KEY_FILE": str(other)}), b"\x11" * 32, f"the file {other}"),
    ]
    for source, key, words in sources:
        assert source.key() == (key, words)
        assert "a secret from" in repr(source.key())
    assert MasterKeySource(environ={}).key() is None


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "00" * 33, "é" * 64, "00" * 31])
def test_what_is_no_key_is_refused_by_its_source(tmp_path: Path, content: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(content)
    with pytest.raises(MasterKeyError, match=rf"the file {file} is no master key: that is 64 hexadecimal digits"):
        MasterKeySource(file).key()
    with pytest.raises(MasterKeyError, match="BLOCKDB_MASTER_KEY is no master key"):
        MasterKeySource(environ={"BLOCKDB_MASTER_KEY": content}).key()
    with pytest.raises(MasterKeyError, match=r"cannot be read: No such file.*encryption new-key"):
        MasterKeySource(tmp_path / "missing").key()


def test_a_key_has_its_length() -> None:
    with pytest.raises(ConfigError, match="32 bytes"):
        MasterKeySource(key=b"short")


def test_a_passphrase_is_asked_for_last() -> None:
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return f"typed {len(asked) // 3}"

    environ = {"BLOCKDB_PASSPHRASE": "from the environment"}
    assert MasterKeySource(passphrase="given", environ=environ, ask=ask).passphrase() == (b"given", "the caller")
    assert MasterKeySource(environ=environ, ask=ask).passphrase() == (b"from the environment", "BLOCKDB_PASSPHRASE")
    assert not asked
    assert MasterKeySource(environ={}, ask=ask).passphrase() == (b"typed 0", "the terminal")
    with pytest.raises(MasterKeyError, match="not the same"):
        MasterKeySource(environ={}, ask=ask).passphrase(twice=True)
    assert asked == ["Passphrase: ", "New passphrase: ", "The same again: "]
    assert MasterKeySource(environ={}).passphrase() is None
