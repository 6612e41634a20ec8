"""New identifiers for old ones, the same for the same key: nobody without the key can go back or try names out."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from medgan.errors import WriteError

_STANDARD_ROOT = "1.2.840.10008."
_BYTES = 32


class Pseudonyms:
    """Keyed new names for patients, objects and files.

    The same identifier gives the same new one wherever it stands, so that series, references between objects and
    frames of reference still fit together. Made with HMAC-SHA256; UIDs lie under the root 2.25 (PS3.5 section B.2).

    Args:
        key: Secret; 32 random bytes.

    Example:
        >>> names = Pseudonyms(b"k" * 32)
        >>> names.uid("1.2.3") == names.uid("1.2.3"), names.uid("1.2.840.10008.1.2.1")
        (True, '1.2.840.10008.1.2.1')
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.made: dict[tuple[str, str], str] = {}

    def uid(self, old: str) -> str:
        """A new UID; the standard's own, such as those of transfer syntaxes, stay."""
        if not old or old.startswith(_STANDARD_ROOT):
            return old
        return self._kept("uid", old, "2.25." + str(int.from_bytes(self._digest("uid", old)[:16], "big")))

    def patient(self, old: str) -> str:
        """A new PatientID."""
        return self._kept("patient", old, "P" + self._digest("patient", old).hex()[:12].upper())

    def file(self, old: str) -> str:
        """A new name for a file that has no identifier in it but its name, without a suffix."""
        return self._kept("file", old, "image-" + self._digest("file", old).hex()[:12])

    def _digest(self, kind: str, old: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{old}".encode(), hashlib.sha256)

    def _kept(self, kind: str, old: str, new: str) -> str:
        self.made[kind, old] = new
        return new


def new_key() -> bytes:
    """A random key."""
    return secrets.token_bytes(_BYTES)


def read_or_make_key(path: Path) -> bytes:
    """The key in a file, which is made for its owner's eyes alone where there is none.

    Raises:
        WriteError: W034, if the file holds something else, others may read it, or it cannot be made.
    """
    try:
        if not path.exists():
            _write_secret(path, new_key().hex() + "\n")
        if path.stat().st_mode & 0o077:
            raise _bad_key(path, "others may read it", "chmod 600 on it")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise _bad_key(path, error.strerror or type(error).__name__, "choose another file") from error
    except ValueError as error:
        raise _bad_key(path, "something else", "name a new file, which is then made") from error
    if len(key) != _BYTES:
        raise _bad_key(path, f"{len(key)} bytes", "name a new file, which is then made")
    return key


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner may read; nothing that is there is replaced.

    Raises:
        WriteError: W034, if it is there or cannot be written.
    """
    try:
        _write_secret(path, text)
    except OSError as error:
        raise WriteError(
            "W034",
            "cannot write the file that leads back to the patients",
            where=path.name,
            got=error.strerror or type(error).__name__,
            remedy="name a file that is not there yet",
        ) from error


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _bad_key(path: Path, got: str, remedy: str) -> WriteError:
    return WriteError(
        "W034", "not a usable key", where=path.name, got=got, expected="64 hexadecimal digits, mode 600", remedy=remedy
    )
