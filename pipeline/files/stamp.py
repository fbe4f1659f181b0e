"""The stamp of a file: a JSON beside it that says what the file was made from.

The stamp of `oof.csv` is `oof.json`. It has `made_from` (settings as values, data as hashes), the
hash of the file, the version of this package and any other record. A killed run leaves no file
without a stamp.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.files.hashes import file_sha256
from pipeline.files.messages import short
from pipeline.files.reading import read_json
from pipeline.files.writing import write_json, written_whole

OWN_KEYS = ("made_from", "sha256", "version")


@dataclass(frozen=True)
class Stamp:
    """The content of a stamp."""

    made_from: dict[str, Any]
    sha256: str
    version: str
    about: dict[str, Any]  # any other record


@contextmanager
def written_with_stamp(
    path: Path, made_from: Mapping[str, object], **about: object
) -> Iterator[Path]:
    """A temporary path to write to; the file is then renamed to `path` and gets a stamp."""
    with written_whole(path) as temporary:
        yield temporary
        own = {"made_from": made_from, "sha256": file_sha256(temporary), "version": __version__}
        path.unlink(missing_ok=True)  # so the old file never has the new stamp
        write_json(_stamp_path(path), {**about, **own})


def read_stamp(path: Path) -> Stamp | None:
    """The stamp of the file at `path`; None if there is no file, or no stamp of ours."""
    if not path.is_file() or not _stamp_path(path).is_file():
        return None
    try:
        content = read_json(_stamp_path(path))
    except ValueError:  # damaged, or another tool's
        return None
    if not all(key in content for key in OWN_KEYS) or not isinstance(content["made_from"], dict):
        return None
    about = {key: value for key, value in content.items() if key not in OWN_KEYS}
    return Stamp(content["made_from"], content["sha256"], content["version"], about)


def is_current(path: Path, made_from: Mapping[str, object]) -> bool:
    """Whether the file exists unchanged, made from exactly this by this version."""
    stamp = read_stamp(path)
    return (
        stamp is not None
        and stamp.made_from == made_from
        and stamp.version == __version__
        and stamp.sha256 == file_sha256(path)
    )


def require_current(path: Path, made_from: Mapping[str, object], remedy: str) -> Stamp:
    """The stamp of a file that must be unchanged and agree with `made_from`.

    Args:
        made_from: the keys to compare; other keys of the stamp are ignored.
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


def first_difference(old: Mapping[str, object], new: Mapping[str, object]) -> str | None:
    """The first key of `new` whose value differs in `old`, in words; None if all agree."""
    for key, now in new.items():
        then = old.get(key)
        if then == now:
            continue
        if isinstance(then, dict) and isinstance(now, dict):
            if then.keys() == now.keys():
                changed = next(name for name in now if now[name] != then[name])
                return f"made from other {key}, first {changed!r}"
            if all(isinstance(value, list) for value in {**then, **now}.values()):  # of hashes
                then, now = list(then), list(now)
        if any(isinstance(value, str) and len(value) == 64 for value in (then, now)):
            return f"made from other {key}"
        return f"made with {key} {short(then)}, now it is {short(now)}"
    return None


def _stamp_path(path: Path) -> Path:
    return path.with_suffix(".json")
