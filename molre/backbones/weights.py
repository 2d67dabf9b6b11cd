"""Weights from a file, a folder or the hub, matched key by key; and their fingerprint."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib import request
from urllib.error import HTTPError

import torch
from huggingface_hub import constants, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from molre.errors import WeightsError

StateDict = dict[str, Tensor]
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


def fetch(name: str, revision: str, access: str) -> Path:
    """The folder of a hub repository's snapshot, from the cache or the hub.

    Args:
        name: owner/name.
        revision: commit, tag or branch.
        access: what a user has to do to get it; for the error.

    Raises:
        WeightsError: it is not in the cache, and cannot be fetched.
    """
    try:
        cached = _snapshot(name, revision, local_files_only=True)
        if any(cached.glob("*.safetensors")):
            return cached
    except OSError:
        pass  # not in the cache
    try:
        _reach_hub()
        return _snapshot(name, revision, local_files_only=False)
    except (OSError, ValueError) as fault:
        raise WeightsError(
            f"cannot load {name}@{revision} from the hub ({type(fault).__name__}): check the network, the id and your "
            f"access ({access}), or give a local folder or file instead"
        ) from fault


def _snapshot(name: str, revision: str, *, local_files_only: bool) -> Path:
    patterns = ["*.safetensors", "*.json"]
    folder = snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=local_files_only)
    return Path(folder)


def _reach_hub() -> None:
    """Fail within seconds where there is no network; a download would go on trying for half a minute.

    Raises:
        OSError: the hub cannot be reached.
    """
    with suppress(HTTPError):  # it answered, if not kindly: the download will say why
        request.urlopen(request.Request(constants.ENDPOINT, method="HEAD"), timeout=_HUB_TIMEOUT_S).close()  # noqa: S310


def files_of(path: Path) -> list[Path]:
    """The weight files that a local path stands for: itself, or those of a folder in transformers format.

    Raises:
        WeightsError: the folder holds none.
    """
    if path.is_file():
        return [path]
    index = path / "model.safetensors.index.json"
    if index.exists():
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [path / shard for shard in sorted(set(shards))]
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).exists():
            return [path / name]
    raise WeightsError(f"no model.safetensors in {path}: give a folder in transformers format, or one weight file")


def read(path: Path) -> StateDict:
    """The tensors of a local file or folder; nothing in it is executed.

    Raises:
        WeightsError: a file is damaged, holds more than tensors, or is missing.
    """
    state: StateDict = {}
    for file in files_of(path):
        state |= _read_file(file)
    return state


def _read_file(file: Path) -> StateDict:
    try:
        # Some published files are safetensors under another name, so the content decides, not the suffix.
        if file.suffix == ".safetensors" or not _is_torch(file):
            return load_file(file)
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as fault:
        reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise WeightsError(f"cannot read {file}: {reason[:200]}; download or export it again") from fault
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
    """Put tensors into a network that may be on the meta device, as 32-bit floats.

    Args:
        network: takes the tensors themselves, so that a large network is never held twice.
        state: exactly the network's keys and shapes.
        source: names the tensors' origin in errors.

    Raises:
        WeightsError: a key is missing, is not the network's, or has another shape.
    """
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    missing = sorted(wanted.keys() - state.keys())
    foreign = sorted(state.keys() - wanted.keys())
    misshapen = [
        f"{key} {tuple(state[key].shape)} for {shape}"
        for key, shape in wanted.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    if missing or foreign or misshapen:
        raise WeightsError(
            f"{source} does not fit: {_few(missing, 'missing')}, {_few(foreign, 'unexpected')}, "
            f"{_few(misshapen, 'of another shape')}, of {len(wanted)} tensors; "
            "give the weights of this very model, without head or wrapper"
        )
    network.load_state_dict({key: value.float() for key, value in state.items()}, strict=True, assign=True)


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


def own_state(network: nn.Module) -> StateDict:
    """A network's state as it was before adapters wrapped any of its layers."""
    state = network.state_dict()
    wrapped = tuple({key.split("base_layer.")[0] for key in state if ".base_layer." in key})
    return {
        key.replace(".base_layer.", "."): value
        for key, value in state.items()
        if ".base_layer." in key or not key.startswith(wrapped)
    }
