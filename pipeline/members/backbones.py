"""One local copy of a backbone's files, which all units of a competition share."""

import hashlib
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.demos.fetch import DEMO_BACKBONES, demo_backbone_dir
from pipeline.files.hashes import file_sha256
from pipeline.files.paths import backbones_dir
from pipeline.files.reading import read_json
from pipeline.files.writing import folder_written_whole, write_json

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
FILES = ("*.json", "*.txt", "*.model", "*_Pooling/config.json")
SAFETENSORS, PICKLED = "model*.safetensors", "pytorch_model*.bin"
HUB_SECONDS = 10.0  # to wait for the hub's answer
LFS_POINTER = b"version https://git-lfs"  # first bytes of a file cloned without Git LFS


def locate_backbone(name: str) -> Path:
    """As `local_backbone`, or the folder of a model that is downloaded from the hub."""
    return local_backbone(name) or _fetched_from_hub(name)


def local_backbone(name: str) -> Path | None:
    """The folder of a demo backbone or a local model; None for a name of the form of a hub id.

    The hub is not contacted: only training needs the network.

    Raises:
        FileNotFoundError: the demo is not fetched yet, or `name` is none of these.
        ValueError: the folder does not hold a model.
    """
    folder = _folder(name)
    if folder.is_dir():
        _files(folder)
        return folder
    if name in DEMO_BACKBONES:
        raise FileNotFoundError(
            f"backbone {name!r}: {folder} is not there; run prepare, which fetches this demo"
        )
    if HUB_ID.fullmatch(name) is None:
        raise FileNotFoundError(
            f"backbone: no folder {name!r}; name a model's folder, a hub id or a demo "
            f"({', '.join(sorted(DEMO_BACKBONES))})"
        )
    return None


def keep_backbones(names: Iterable[str | None], competition: str) -> dict[str, Path]:
    """Folders of the competition's copies of backbones, by name; None is skipped.

    Raises:
        ValueError: a copy was changed.
    """
    wanted = sorted({name for name in names if name is not None})
    copies = {name: keep_backbone(name, competition) for name in wanted}
    check_copies(copies.values())
    return copies


def check_copies(copies: Iterable[Path]) -> None:
    """Raise a ValueError unless each copy has the files that it is named after."""
    for copy in sorted(set(copies)):
        if _hash_of(copy, _listed(copy)) != copy.name:
            raise ValueError(
                f"{copy}: not the files that were copied; remove the folder and run train again, "
                "with --overwrite if units may have been trained from changed files"
            )


def keep_backbone(name: str, competition: str) -> Path:
    """The competition's copy of a backbone, a folder named after the hash of its files.

    A hub id is looked up once: the model behind it may change, and later runs need no network.
    """
    hub_json = backbones_dir(competition) / "hub.json"
    copies = read_json(hub_json) if hub_json.is_file() else {}  # their folders, by hub id
    of_hub = is_of_hub(name)
    if of_hub and name in copies and (hub_json.parent / copies[name]).is_dir():
        return hub_json.parent / copies[name]
    folder = locate_backbone(name)
    files = _files(folder)
    sha = _hash_of(folder, files)
    copy = backbones_dir(competition) / sha
    if not copy.exists():
        with folder_written_whole(copy) as temporary:
            for file in files:
                kept = temporary / file.relative_to(folder)
                kept.parent.mkdir(exist_ok=True)
                shutil.copy(file, kept)
    if of_hub:
        write_json(hub_json, {**copies, name: sha})
    return copy


def is_of_hub(name: str) -> bool:
    """Whether the backbone comes from the hub, so that nothing is known of it before training."""
    return not _folder(name).is_dir()


def _hash_of(folder: Path, files: Sequence[Path]) -> str:
    lines = [f"{file.relative_to(folder).as_posix()} {file_sha256(file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]


def _folder(name: str) -> Path:
    """The folder of a demo backbone or a local model; that of a hub id does not exist."""
    return demo_backbone_dir(name) if name in DEMO_BACKBONES else Path(name)


def _listed(folder: Path) -> list[Path]:
    weights = list(folder.glob(SAFETENSORS)) or list(folder.glob(PICKLED))
    files = {*weights, *(f for pattern in FILES for f in folder.glob(pattern))}
    return sorted(f for f in files if not f.name.startswith("."))  # macOS adds ._config.json


def _files(folder: Path) -> list[Path]:
    """The files that transformers needs: configuration, tokenizer, one kind of weights."""
    files = _listed(folder)
    if not (folder / "config.json").is_file():
        raise ValueError(f"backbone: {folder} holds no config.json; name a model's folder")
    if not any(file.suffix in (".safetensors", ".bin") for file in files):
        raise ValueError(f"backbone: {folder} holds no {SAFETENSORS} or {PICKLED}")
    for path in files:
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise ValueError(
                    f"{path}: a Git LFS pointer, not the file itself; run git lfs pull there"
                )
    return files


def _fetched_from_hub(name: str) -> Path:
    """The folder of a model that the hub has now, else of the copy in the hub's cache."""
    # imported here: the hub's client takes a second to load and a local backbone needs none
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    problem = None
    try:  # snapshot_download itself waits for ever for a hub that does not answer
        HfApi().model_info(name, timeout=HUB_SECONDS)
    except Exception as error:  # of the hub's client, of its HTTP client, or of the system
        problem = error
    offline = problem is not None
    try:
        for weights in (SAFETENSORS, PICKLED):
            patterns = [*FILES, weights]
            folder = snapshot_download(name, allow_patterns=patterns, local_files_only=offline)
            if list(Path(folder).glob(weights)):
                break
        return Path(folder)
    except Exception as error:
        problem = problem or error
    reason = " ".join(str(problem).split())[:200] or type(problem).__name__
    is_answer = isinstance(problem, HfHubHTTPError | ValueError)
    remedy = "check the name" if is_answer else "connect to the internet"
    raise FileNotFoundError(
        f"backbone {name!r}: neither a folder here nor a demo ({', '.join(DEMO_BACKBONES)}), and "
        f"the hub gave none ({reason}); {remedy}, or download the model and name its folder"
    )
