"""Bundles for the serving tests: random weights, real files."""

import io
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    """A bundle of a random small backbone with thresholds for the first ten findings."""
    from molre.adapters import AdapterConfig, attach
    from molre.backbones import build
    from molre.bundle import save_bundle
    from molre.classifier import Classifier
    from molre.findings import KEYS
    from molre.volume import GRIDS

    adapted = attach(Classifier(build("dinov3-tiny", weights="random")), AdapterConfig(kind="molre", over_budget=True))
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    save_bundle(folder, adapted, grid=GRIDS["demo"], provenance={}, thresholds=dict.fromkeys(KEYS[:10], 0.5))
    return folder


@pytest.fixture(scope="session")
def ge_zip(head_ct_ge) -> bytes:
    """The real GE head CT as a user zips it: folders, and a file that is no image."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(head_ct_ge.glob("*.dcm")):
            archive.write(file, f"study/series 1/{file.name}")
        archive.writestr("study/readme.txt", "not an image")
    return buffer.getvalue()
