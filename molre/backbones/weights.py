"""Weights from a file, a folder or the hub, matched key by key; and their fingerprint."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError

import torch
from huggingface_hub import constants, snapshot_download
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from molre.backbones.backbone import BackboneSpec, StateDict
from molre.errors import WeightsError

_HUB_TIMEOUT_S = 10.0
_NAMED = 3  # keys an error names: enough to recognise the layout, few enough for one line


def local(weights: str) -> Path | None:
    """The file or folder that a ``weights`` argument names, or None where it names a hub repository.

    Raises:
        WeightsError: it is neither.
    """
    path = Path(weights).expanduser()
    if path.exists():
        return path
    looks_local = weights.startswith((".", "/", "~")) or path.suffix in (".safetensors", ".pt", ".pth", ".bin")
    if weights.count("/") == 1 and not looks_local:
        return None
    raise WeightsError(
        f"no weights at {weights!r}: give an existing .safetensors, .pt or .pth file, a folder with config.json and "
        "model.safetensors, a hub id such as owner/name, or 'random'"
    )


def fetch(name: str, revision: str, spec: BackboneSpec) -> Path:
    """The folder of a hub repository's snapshot, from the cache or the hub; only files with the network are loaded.

    Args:
        name: owner/name.
        revision: commit, tag or branch.
        spec: of the backbone; its access is named in errors.

    Raises:
        WeightsError: it is not in the cache, and cannot be fetched.
    """
    try:
        cached = _snapshot(name, revision, spec, local_files_only=True)
        if cached is not None:
            return cached
    except OSError:
        pass  # not in the cache
    try:
        _reach_hub()
        fetched = _snapshot(name, revision, spec, local_files_only=False)
    except (OSError, ValueError) as fault:
        raise WeightsError(
            f"cannot load {name}@{revision} from the hub ({type(fault).__name__}): check the network, the id and your "
            f"access ({spec.access}), or give a local folder or file instead"
        ) from fault
    if fetched is None:
        raise WeightsError(f"{name}@{revision} holds no weight file: check the id and the revision")
    return fetched


def _snapshot(name: str, revision: str, spec: BackboneSpec, *, local_files_only: bool) -> Path | None:
    """The folder, or None where it lacks a weight file."""

    def get(*patterns: str) -> Path:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=list(patterns), local_files_only=local_files_only)
        )

    if spec.hub_file and name == spec.hub_id:
        folder = get(spec.hub_file)
        return folder if (folder / spec.hub_file).exists() else None
    folder = get("*.json")
    shards = _shards(folder, spec.tower)
    folder = get(*(shards or ["*.safetensors", "pytorch_model.bin"]), "*.json")
    try:
        return folder if all(file.exists() for file in files_of(folder, spec.tower)) else None
    except WeightsError:
        return None


def _reach_hub() -> None:
    """Fail within seconds where there is no network; a download would go on trying for half a minute.

    Raises:
        OSError: the hub cannot be reached.
    """
    with suppress(HTTPError):  # it answered, if not kindly: the download will say why
        request.urlopen(request.Request(constants.ENDPOINT, method="HEAD"), timeout=_HUB_TIMEOUT_S).close()  # noqa: S310


def files_of(path: Path, tower: str | tuple[str, ...] = "") -> list[Path]:
    """The weight files that a local path stands for: itself, or those of a folder in transformers format.

    Args:
        path: file or folder.
        tower: only files with a tensor whose name starts so, or in one of these ways, where a folder's index tells.

    Raises:
        WeightsError: the folder holds none.
    """
    if path.is_file():
        return [path]
    shards = _shards(path, tower)
    if shards:
        return [path / shard for shard in shards]
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).exists():
            return [path / name]
    raise WeightsError(f"no model.safetensors in {path}: give a folder in transformers format, or one weight file")


def _shards(folder: Path, tower: str | tuple[str, ...]) -> list[str]:
    """Names of the files that a folder's index gives the tower's tensors to; all where none is the tower's."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return []
    try:
        held: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as fault:
        raise WeightsError(f"cannot read {index}: download it again") from fault
    chosen = {shard for key, shard in held.items() if key.startswith(tower)}
    return sorted(chosen or set(held.values()))


class SafetensorsState(Mapping[str, Tensor]):
    """The tensors of safetensors files, read when asked for: a tower is a small part of some of them."""

    def __init__(self, files: list[Path]) -> None:
        self._files = {key: file for file in map(_opened, files) for key in file.keys()}  # noqa: SIM118

    def __getitem__(self, key: str) -> Tensor:
        return self._files[key].get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read(path: Path, tower: str | tuple[str, ...] = "") -> StateDict:
    """The tensors of a local file or folder; nothing in it is executed.

    Raises:
        WeightsError: a file is damaged, holds more than tensors, or is missing.
    """
    files = files_of(path, tower)
    # Some published files are safetensors under another name, so the content decides, not the suffix.
    pickled = [file for file in files if file.suffix != ".safetensors" and _is_torch(file)]
    state: dict[str, Tensor] = {}
    for file in pickled:
        state |= _read_torch(file)
    return SafetensorsState(files) if not pickled else state


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError) as fault:
        raise _unreadable(file, fault) from fault


def _unreadable(file: Path, fault: Exception) -> WeightsError:
    reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return WeightsError(f"cannot read {file}: {reason[:200]}; download or export it again")


def _read_torch(file: Path) -> dict[str, Tensor]:
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as fault:
        raise _unreadable(file, fault) from fault
    for wrapper in ("state_dict", "model", "teacher"):
        held = held.get(wrapper, held) if isinstance(held, Mapping) else held
    if not isinstance(held, Mapping) or not all(isinstance(value, Tensor) for value in held.values()):
        raise WeightsError(f"{file} is no state dict: save model.state_dict() and give that file")
    return dict(held)


def _is_torch(file: Path) -> bool:
    with file.open("rb") as stream:
        start = stream.read(2)
    return start in (b"PK", b"\x80\x02")  # a zip archive, or the pickle of torch before 1.6


def load_strictly(network: nn.Module, state: StateDict, source: str) -> None:
    """Put tensors into a network, as 32-bit floats.

    Args:
        network: may be without memory; takes the tensors themselves, so that a large network is never held twice.
        state: exactly the network's keys and shapes.
        source: names the tensors' origin in errors.

    Raises:
        WeightsError: a key is missing, is not the network's, or has another shape.
    """
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    missing = sorted(wanted.keys() - state.keys())
    foreign = sorted(state.keys() - wanted.keys())
    misshapen = []
    held: dict[str, Tensor] = {}
    for key in wanted.keys() & state.keys():
        held[key] = state[key]
        if tuple(held[key].shape) != wanted[key]:
            misshapen.append(f"{key} {tuple(held[key].shape)} for {wanted[key]}")
    if missing or foreign or misshapen:
        raise WeightsError(
            f"{source} does not fit: {_few(missing, 'missing')}, {_few(foreign, 'unexpected')}, "
            f"{_few(sorted(misshapen), 'of another shape')}, of {len(wanted)} tensors; "
            "give the weights of this very model, without head or wrapper"
        )
    whole = {key: value.float() if value.is_floating_point() else value for key, value in held.items()}
    network.load_state_dict(whole, strict=True, assign=True)


def _few(keys: list[str], what: str) -> str:
    return f"{len(keys)} {what}" + (f" ({', '.join(keys[:_NAMED])}{', …' * (len(keys) > _NAMED)})" if keys else "")


def sha256_of_files(files: Iterable[Path]) -> str:
    """SHA-256 over the bytes of files, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over every name, type, shape and value of a network's own state: equal only for equal weights.

    Adapter layers inside the network change nothing: what they wrap counts, under its old name, and they do not.
    """
    digest = hashlib.sha256()
    for key, value in sorted(own_state(network).items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def own_state(network: nn.Module) -> dict[str, Tensor]:
    """A network's state as it was before adapters wrapped any of its layers."""
    state = network.state_dict()
    wrapped = tuple({key.split("base_layer.")[0] for key in state if ".base_layer." in key})
    return {
        key.replace(".base_layer.", "."): value
        for key, value in state.items()
        if ".base_layer." in key or not key.startswith(wrapped)
    }
