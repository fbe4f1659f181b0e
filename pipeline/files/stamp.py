"""What a file was made from: a JSON beside it, by which every stage knows what is current.

The stamp of `oof.csv` is `oof.json`. It holds what the file was made from (`made_from`: settings as
they are, data as hashes), the file's own hash, the version of this package, and whatever else is
worth keeping. A file is there only if its stamp is: a killed run leaves no file without one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.files.hashes import file_sha256
from pipeline.files.reading import read_json
from pipeline.files.writing import write_json, written_whole

OWN_KEYS = ("made_from", "sha256", "version")


@dataclass(frozen=True)
class Stamp:
    """What stands beside a file.

    Attributes:
        made_from: what the file was made from, by name.
        sha256: of the file, as it was written.
        version: of the package that wrote it.
        about: what else its maker keeps there.
    """

    made_from: dict[str, Any]
    sha256: str
    version: str
    about: dict[str, Any]


@contextmanager
def written_with_stamp(path: Path, made_from: dict[str, Any], **about: Any) -> Iterator[Path]:
    """A temporary path to write a file to, which takes the name `path` and gets a stamp."""
    with written_whole(path) as temporary:
        yield temporary
        own = {"made_from": made_from, "sha256": file_sha256(temporary), "version": __version__}
        path.unlink(missing_ok=True)  # killed here, there is no file rather than another's stamp
        write_json(_stamp_path(path), {**about, **own})


def read_stamp(path: Path) -> Stamp | None:
    """The stamp of the file at `path`; None where there is no file, or none that we made.

    Raises:
        ValueError: what stands beside the file is not valid JSON.
    """
    if not path.is_file() or not _stamp_path(path).is_file():
        return None
    content = read_json(_stamp_path(path))
    if not all(key in content for key in OWN_KEYS):
        return None
    about = {key: value for key, value in content.items() if key not in OWN_KEYS}
    return Stamp(content["made_from"], content["sha256"], content["version"], about)


def is_current(path: Path, made_from: dict[str, Any]) -> bool:
    """Whether the file stands there, unchanged, made from just this by this version of ours."""
    stamp = read_stamp(path)
    return (
        stamp is not None
        and stamp.made_from == made_from
        and stamp.version == __version__
        and stamp.sha256 == file_sha256(path)
    )


def require_current(path: Path, made_from: dict[str, Any], remedy: str) -> Stamp:
    """The stamp of a file that has to stand there, unchanged and made from this.

    Args:
        made_from: what is compared; what else the file was made from is its own affair.
        remedy: what to do about a mismatch, for the message.
    Raises:
        FileNotFoundError: there is no file with a stamp.
        ValueError: the file was changed, or made from something else.
    """
    stamp = read_stamp(path)
    if stamp is None:
        raise FileNotFoundError(f"{path}: not there, or not finished; {remedy}")
    if stamp.sha256 != file_sha256(path):
        raise ValueError(f"{path}: changed since it was written; {remedy}")
    difference = first_difference(stamp.made_from, made_from)
    if difference is not None:
        raise ValueError(f"{path}: {difference}; {remedy}")
    return stamp


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """What was otherwise when something was made, in words; None where all wanted is the same."""
    for key, now in wanted.items():
        then = found.get(key)
        if then == now:
            continue
        if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
            changed = next(name for name in now if now[name] != then[name])
            return f"made from other {key}, first {changed!r}"
        if any(isinstance(value, str) and len(value) == 64 for value in (then, now)):
            return f"made from other {key}"
        return f"made with {key} {_short(then)}, now it is {_short(now)}"
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _stamp_path(path: Path) -> Path:
    return path.with_suffix(".json")
