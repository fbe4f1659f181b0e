"""From a backbone's name to one local copy of its files, which all units of a competition share."""

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from pipeline.demos.fetch import DEMO_BACKBONES, demo_backbone_dir
from pipeline.files.hashes import file_sha256
from pipeline.files.paths import backbones_dir
from pipeline.files.reading import read_json
from pipeline.files.writing import folder_written_whole, write_json

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
FILES = ("*.json", "*.txt", "*.model")
SAFETENSORS, PICKLED = "model*.safetensors", "pytorch_model*.bin"
LFS_POINTER = b"version https://git-lfs"  # how what `git clone` leaves without Git LFS starts


def locate_backbone(name: str) -> Path:
    """The folder of a demo backbone, of a local one, or of one fetched from the hub.

    Raises:
        FileNotFoundError: there is no such folder, and the hub does not give one of that name.
        ValueError: the folder is not a backbone's.
    """
    folder = demo_backbone_dir(name) if name in DEMO_BACKBONES else Path(name)
    if not folder.is_dir():
        folder = _fetched_from_hub(name)
    files = _files(folder)
    if not any(f.name == "config.json" for f in files):
        raise ValueError(f"backbone {name}: {folder} holds no config.json; name a model's folder")
    if not any(f.suffix in (".safetensors", ".bin") for f in files):
        raise ValueError(f"backbone {name}: {folder} holds no {SAFETENSORS} or {PICKLED}")
    return folder


def check_backbone(name: str) -> None:
    """Raise a FileNotFoundError unless `name` is a model's folder or may be an id of the hub.

    The hub is not asked: that takes a network, and only training needs the files.
    """
    folder = demo_backbone_dir(name) if name in DEMO_BACKBONES else Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(
                f"backbone: {folder} holds no config.json; name a model's folder"
            )
    elif HUB_ID.fullmatch(name) is None:
        raise FileNotFoundError(
            f"backbone: no folder {name!r}; name a model's folder, a hub id or a demo "
            f"({', '.join(sorted(DEMO_BACKBONES))})"
        )


def keep_backbones(names: Iterable[str | None], competition: str) -> dict[str, Path]:
    """Folders of the competition's copies of backbones, by name; a None is passed over."""
    wanted = sorted({name for name in names if name is not None})
    return {name: keep_backbone(name, competition) for name in wanted}


def keep_backbone(name: str, competition: str) -> Path:
    """Copy a backbone's files to the competition's models, once.

    A name of the hub is looked up there once: what it stands for may change, and a competition that
    is trained needs no network.

    Returns:
        The copy's folder, whose name is the first 12 digits of their hash.
    """
    known = backbones_dir(competition) / "hub.json"
    fetched = _fetched(known)
    if name in fetched and (known.parent / fetched[name]).is_dir():
        return known.parent / fetched[name]
    files = _files(locate_backbone(name))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file_sha256(file)}\n".encode())
    sha = digest.hexdigest()[:12]
    copy = backbones_dir(competition) / sha
    copy.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(copy.parent / f".{sha}.lock"):
        if not copy.exists():
            with folder_written_whole(copy) as temporary:
                for file in files:
                    shutil.copy(file, temporary / file.name)
    if name not in DEMO_BACKBONES and not Path(name).is_dir():
        with FileLock(known.with_name(".hub.lock")):  # another run may fetch another backbone
            write_json(known, {**_fetched(known), name: sha})
    return copy


def _fetched(known: Path) -> dict[str, str]:
    """The copies of backbones of the hub, by their names there."""
    return read_json(known) if known.is_file() else {}


def _files(folder: Path) -> list[Path]:
    """What transformers needs: configuration, tokenizer, one kind of weights."""
    weights = list(folder.glob(SAFETENSORS)) or list(folder.glob(PICKLED))
    files = sorted({*weights, *(f for pattern in FILES for f in folder.glob(pattern))})
    for path in files:
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise ValueError(
                    f"{path}: a Git LFS pointer, not the file itself; run git lfs pull there"
                )
    return files


def _fetched_from_hub(name: str) -> Path:
    # imported here: the hub's client takes a second to load and a local backbone needs none
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=[*FILES, SAFETENSORS]))
        if not list(folder.glob(SAFETENSORS)):
            folder = Path(snapshot_download(name, allow_patterns=[*FILES, PICKLED]))
        return folder
    except Exception as error:  # its own, the system's, and those of whatever client it talks by
        reason = " ".join(str(error).split())[:200]
        raise FileNotFoundError(
            f"backbone {name!r}: neither a folder here nor a demo ({', '.join(DEMO_BACKBONES)}), "
            f"and the hub gave none: {reason}; check the name, or download the model to a folder"
        ) from None
