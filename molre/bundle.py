"""What is shipped: a folder that predicts, and says what it is made of.

``bundle.json`` names every other file with its SHA-256; ``adapter_model.safetensors`` and ``adapter_config.json`` are
PEFT's (absent where there is no adapter); ``head.safetensors`` holds pooling and head; ``backbone.safetensors`` is
there only after full fine-tuning; ``MODEL_CARD.md`` is for people.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor

import molre
from molre.adapters import Adapted, AdapterConfig, route
from molre.backbones import Backbone, build, fingerprint
from molre.calibration import Calibration
from molre.classifier import Classifier
from molre.errors import BundleError, ConfigError, WeightsError
from molre.findings import KEYS
from molre.location import Location
from molre.model_card import is_synthetic, model_card
from molre.volume import Grid

SCHEMA = 3
"""Version of ``bundle.json``; a reader refuses any other."""
MANIFEST = "bundle.json"
HEAD = "head.safetensors"
BACKBONE = "backbone.safetensors"
ADAPTER = ("adapter_model.safetensors", "adapter_config.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A loaded bundle.

    Attributes:
        grid: that volumes must be on.
        manifest: the content of ``bundle.json``.
        adapted: the classifier with its adapter, in evaluation mode.
        sha: SHA-256 of ``bundle.json``, which names the hash of every other file, so that it stands for the whole.
    """

    grid: Grid
    manifest: dict[str, Any]
    adapted: Adapted
    sha: str

    @property
    def thresholds(self) -> dict[str, float]:
        """Operating point of each finding that has one."""
        return dict(self.manifest["thresholds"])

    @property
    def operating_points(self) -> dict[str, dict[str, float]]:
        """Thresholds by the name of an operating point, then by finding key."""
        return {name: dict(thresholds) for name, thresholds in self.manifest["operating_points"].items()}

    @property
    def calibration(self) -> Calibration:
        """How its logits become probabilities."""
        return Calibration.from_json(self.manifest["calibration"])

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on phantoms, so that its output means nothing of a patient."""
        return is_synthetic(self.manifest)

    def predict(self, hu: Int16[Tensor, "b d h w"] | Int16[np.ndarray, "b d h w"]) -> Float[np.ndarray, "b findings"]:
        """Calibrated probability of each finding, in the order of ``molre.findings.KEYS``.

        Args:
            hu: volumes on ``grid``, slices from feet to head.

        Raises:
            ConfigError: the volumes are not on the bundle's grid.
        """
        if tuple(hu.shape[1:]) != self.grid.shape:
            raise ConfigError(
                f"volumes of shape {tuple(hu.shape[1:])} do not fit the bundle's grid {self.grid.name!r} "
                f"{self.grid.shape}: resample them to it first"
            )
        device = self.adapted.classifier.head.weight.device
        with torch.inference_mode():
            voxels = torch.as_tensor(np.ascontiguousarray(hu) if isinstance(hu, np.ndarray) else hu)
            logits = self.adapted.model(voxels.to(device)).float().cpu().numpy()
        return self.calibration.probabilities(logits)


def save_bundle(
    folder: Path,
    adapted: Adapted,
    *,
    grid: Grid,
    provenance: Mapping[str, Any],
    thresholds: Mapping[str, float] | None = None,
    operating_points: Mapping[str, Mapping[str, float]] | None = None,
    calibration: Calibration | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write a bundle, whole or not at all; one that is there is replaced.

    Args:
        folder: to write.
        adapted: the trained classifier; its weights must be whole on this process.
        grid: of the volumes that it was trained on.
        provenance: what it was trained on and how, as JSON values; holds no patient's data.
        thresholds: by finding key, the calibrated probability from which serving calls the finding present.
        operating_points: further thresholds, by the name of the point and then by finding key.
        calibration: from logits to probabilities; the plain sigmoid by default.
        metrics: validation figures, as JSON values.

    Raises:
        BundleError: a threshold names no finding or is no probability, or the adapter's weights are not finite.
    """
    for each in (thresholds or {}, *(operating_points or {}).values()):
        _check_thresholds(each)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        _write_weights(part, adapted)
        manifest = _manifest(adapted, grid, provenance) | {
            "thresholds": dict(thresholds or {}),
            "operating_points": {name: dict(points) for name, points in (operating_points or {}).items()},
            "calibration": (calibration or Calibration()).to_json(),
            "metrics": _plain(metrics or {}),
        }
        (part / "MODEL_CARD.md").write_text(model_card(manifest), encoding="utf-8")
        manifest["files"] = {file.name: _sha256(file) for file in sorted(part.iterdir())}
        text = json.dumps(manifest, indent=2, sort_keys=True, allow_nan=False) + "\n"
        (part / MANIFEST).write_text(text, encoding="utf-8")
        part.chmod(0o755)
        _replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_bundle(
    place: str | Path | Location, *, weights: str | None = None, device: str = "cpu", remote_code: bool = False
) -> Bundle:
    """Rebuild a bundle's classifier, and make sure that it is the one that was saved.

    Args:
        place: folder or URI of what ``save_bundle`` wrote.
        weights: of the backbone, where they came from a file that has moved since.
        device: to put the classifier on.
        remote_code: run code that comes with the backbone's weights, for the backbones that need it.

    Raises:
        BundleError: the bundle is incomplete, damaged, of another version, or its backbone cannot be had.
    """
    location = Location.of(place)
    with tempfile.TemporaryDirectory(prefix="molre-bundle-") as aside:
        folder = location.download(Path(aside) / "bundle")
        manifest, sha = _read_manifest(folder)
        adapted = _adapted(
            folder, manifest, _classifier(folder, manifest, _backbone(folder, manifest, weights, remote_code))
        )
    adapted.model.requires_grad_(False).to(device).eval()
    return Bundle(grid=_grid(manifest["grid"]), manifest=manifest, adapted=adapted, sha=sha)


def schema_of(place: str | Path | Location) -> int | None:
    """The version of the bundle at a place, read from its manifest alone; None where there is none to read."""
    try:
        manifest = json.loads((Location.of(place) / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    version = manifest.get("schema") if isinstance(manifest, dict) else None
    return version if isinstance(version, int) else None


def _write_weights(part: Path, adapted: Adapted) -> None:
    classifier = adapted.classifier
    if not all(torch.isfinite(value).all() for value in adapted.model.parameters() if value.requires_grad):
        raise BundleError(
            "the trained weights hold NaN or infinite values: the training diverged, no bundle is written"
        )
    heads = {f"pooling.{key}": value for key, value in classifier.pooling.state_dict().items()}
    heads |= {f"head.{key}": value for key, value in classifier.head.state_dict().items()}
    _save(heads, part / HEAD)
    if isinstance(adapted.model, PeftModel):
        adapted.model.save_pretrained(str(part), save_embedding_layers=False)
        (part / "README.md").unlink(missing_ok=True)  # PEFT's empty form; MODEL_CARD.md says what it would
    if adapted.config.kind == "full":
        _save(dict(classifier.backbone.state_dict()), part / BACKBONE)


def _save(state: Mapping[str, Tensor], file: Path) -> None:
    held = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    save_file(held, file)


def _manifest(adapted: Adapted, grid: Grid, provenance: Mapping[str, Any]) -> dict[str, Any]:
    backbone = adapted.classifier.backbone
    manifest = {
        "schema": SCHEMA,
        "molre": molre.__version__,
        "commit": checkout_commit(),
        "backbone": {
            "name": backbone.spec.name,
            "licence": backbone.spec.licence,
            "parameters": backbone.parameter_count,
            "weights": _frozen(backbone, adapted.config.kind),
        },
        "windows": asdict(backbone.spec.windows),
        "input": asdict(backbone.spec.input),
        "grid": asdict(grid),
        "adapter": asdict(adapted.config)
        | {
            "added_parameters": adapted.added_parameters,
            "added_fraction": adapted.added_fraction,
            "files": list(ADAPTER) if isinstance(adapted.model, PeftModel) else [],
        },
        "classifier": {"query_per_finding": adapted.classifier.query_per_finding},
        "findings": list(KEYS),
        "provenance": dict(provenance),
    }
    plain: dict[str, Any] = _plain(manifest)
    return plain


def _frozen(backbone: Backbone, kind: str) -> dict[str, Any]:
    """Provenance of the backbone's weights, once it is sure that they are still the ones it speaks of."""
    provenance = backbone.provenance
    whole = all(parameter.dtype == torch.float32 for parameter in backbone.parameters())
    if kind != "full" and whole and fingerprint(backbone) != provenance["fingerprint"]:
        raise BundleError("the backbone's frozen weights changed during training: the bundle could not be rebuilt")
    return provenance


def _plain(value: Any) -> Any:
    """As JSON holds it: figures that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_thresholds(thresholds: Mapping[str, float]) -> None:
    for key, value in thresholds.items():
        if key not in KEYS:
            raise BundleError(f"threshold of {key!r}, which is no finding: the keys are listed in molre/findings.csv")
        if not 0 <= value <= 1:
            raise BundleError(f"the threshold of {key} is {value}: it must be a probability from 0 to 1")


def checkout_commit() -> str | None:
    """The commit of molre's own checkout, if it runs from one."""
    root = Path(molre.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    asked = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return asked.stdout.strip() or None


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(part: Path, folder: Path) -> None:
    """Rename a finished folder into place; the one before goes only when the new one is there."""
    if not folder.exists():
        part.replace(folder)
        return
    before = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    folder.replace(before)
    part.replace(folder)
    shutil.rmtree(before)


def _read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / MANIFEST
    if not path.exists():
        raise BundleError(f"no bundle at {folder}: it has no {MANIFEST}; give the folder that jobs/train.py wrote")
    data = path.read_bytes()
    try:
        manifest = json.loads(data)
    except ValueError as fault:
        raise BundleError(f"{path} is damaged: copy the bundle again") from fault
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise BundleError(f"{path} is of another version than {SCHEMA}: train again, or use the molre that wrote it")
    if manifest["findings"] != list(KEYS):
        raise BundleError(f"{path} predicts other findings than this molre knows: use the molre that wrote it")
    for name, sha in manifest["files"].items():
        if not (folder / name).exists():
            raise BundleError(f"{name} is missing from the bundle {folder}: copy the bundle again")
        if _sha256(folder / name) != sha:
            raise BundleError(f"{name} of the bundle {folder} is not what {MANIFEST} says: copy the bundle again")
    return manifest, hashlib.sha256(data).hexdigest()


def _classifier(folder: Path, manifest: dict[str, Any], backbone: Backbone) -> Classifier:
    classifier = Classifier(
        backbone, grid=_grid(manifest["grid"]), query_per_finding=manifest["classifier"]["query_per_finding"]
    )
    heads = load_file(folder / HEAD)
    for name in ("pooling", "head"):
        part = {key.removeprefix(f"{name}."): value for key, value in heads.items() if key.startswith(f"{name}.")}
        classifier.get_submodule(name).load_state_dict(part)
    return classifier


def _backbone(folder: Path, manifest: dict[str, Any], weights: str | None, remote_code: bool) -> Backbone:
    said = manifest["backbone"]
    full = BACKBONE in manifest["files"]
    try:
        backbone = build(
            said["name"],
            weights=str(folder / BACKBONE) if full else weights or _source(said["weights"]),
            seed=said["weights"].get("seed", 0),
            remote_code=remote_code,
        )
    except (WeightsError, ConfigError) as fault:
        raise BundleError(f"the bundle's backbone cannot be had: {fault}") from fault
    spec = backbone.spec
    if _plain(asdict(spec.windows)) != manifest["windows"] or _plain(asdict(spec.input)) != manifest["input"]:
        raise BundleError(f"this molre feeds {spec.name} in another way than the bundle's: use the molre that wrote it")
    if not full and backbone.provenance["fingerprint"] != said["weights"]["fingerprint"]:
        raise BundleError(
            f"{spec.name} has other weights here ({backbone.provenance['description']}) than the bundle was trained on "
            f"({said['weights']['description']}): give those with weights="
        )
    return backbone


def _source(provenance: dict[str, Any]) -> str | None:
    """The ``weights`` argument that leads to the same weights again."""
    if provenance["source"] == "hub":
        return f"{provenance['hub_id']}@{provenance['revision']}"
    if provenance["source"] == "local":
        return str(provenance["path"])
    return "random" if provenance["source"] == "random" else None


def _adapted(folder: Path, manifest: dict[str, Any], classifier: Classifier) -> Adapted:
    said = manifest["adapter"]
    config = AdapterConfig(**{field.name: said[field.name] for field in fields(AdapterConfig)})
    route(classifier, config)
    model: torch.nn.Module = classifier
    if said["files"]:
        try:
            model = PeftModel.from_pretrained(classifier, str(folder))
        except ValueError as fault:
            raise BundleError(f"the bundle's adapter does not fit its backbone here: {fault}") from fault
        saved, here = load_file(folder / ADAPTER[0]).keys(), get_peft_model_state_dict(model).keys()
        if saved != here:
            raise BundleError(f"the bundle's adapter does not fit: {len(saved ^ here)} tensors differ in name")
    return Adapted(
        model=model,
        classifier=classifier,
        config=config,
        added_parameters=said["added_parameters"],
        added_fraction=said["added_fraction"],
    )


def _grid(said: dict[str, Any]) -> Grid:
    return Grid(name=said["name"], shape=tuple(said["shape"]), spacing_mm=tuple(said["spacing_mm"]))
