"""Set-up of the whole test run: checked shapes, warnings, real data where it lies, and one Ray cluster."""

import os
import shutil
import tempfile
from pathlib import Path

from jaxtyping import install_import_hook

if os.environ.get("MOLRE_CHECK_SHAPES") != "0":  # checking costs more than much of what benchmarks measure
    install_import_hook("molre", "beartype.beartype")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "token"
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")
# Ray drops a job's working folder half a minute after its upload unless a process of the job runs by then.
os.environ.setdefault("RAY_RUNTIME_ENV_TEMPORARY_REFERENCE_EXPIRATION_S", "600")
os.environ["PATH"] = f"{Path(os.sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the cluster, so that ``make test`` can run everything else on several processes."""
    for item in items:
        if "ray_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("ray")


@pytest.fixture(scope="session")
def head_ct_ge() -> Path:
    """Folder of the real GE head CT."""
    folder = SHARED / "head_ct_ge"
    if not folder.is_dir():
        pytest.skip("the real GE head CT is not beside the project (../shared/data/head_ct_ge)")
    return folder


@pytest.fixture(scope="session")
def ray_cluster():
    """The one Ray cluster of this test run: its own ports and folder, with the dashboard for Tune and jobs.

    Yields the address of its job server.
    """
    import ray

    folder = Path(tempfile.mkdtemp(prefix="molre-ray-", dir="/tmp"))
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    os.environ["MOLRE_HOME"] = str(folder / "home")
    context = ray.init(
        num_cpus=2,
        object_store_memory=512 * 2**20,
        include_dashboard=True,
        dashboard_port=0,
        _temp_dir=str(folder / "ray"),
        logging_level="warning",
        _system_config={"metrics_report_interval_ms": 1000},  # ten seconds by default
    )
    yield f"http://{context.dashboard_url}"
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def write_small_store(place: Path, studies: int = 48, seed: int = 0) -> str:
    """A store of noisy ellipsoids in which a bright spot means hemorrhage and a dark one an infarct."""
    import numpy as np

    from molre.findings import label_vector
    from molre.location import Location
    from molre.store import Manifest, Row, Store
    from molre.store.writer import write_index, write_part
    from molre.volume import Grid

    grid = Grid(name="small", shape=(6, 112, 112), spacing_mm=(20.0, 2.0, 2.0))
    generator = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.shape), indexing="ij")
    head = (z / 1.2) ** 2 + (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1

    def row(number: int) -> Row:
        bright, dark = generator.random(2) < 0.5
        hu = np.where(head, 35 + generator.normal(0, 4, grid.shape), -1000)
        for present, value in ((bright, 75), (dark, 5)):
            cy, cx = generator.uniform(-0.4, 0.4, 2)
            if present:
                hu[(y - cy) ** 2 + (x - cx) ** 2 + (z / 4) ** 2 < 0.05] = value
        labels = label_vector({"intraparenchymal_hemorrhage": int(bright), "intraventricular_hemorrhage": int(dark)})
        split = ("train", "train", "train", "val", "test")[number % 5]
        return Row(
            hu=hu.astype(np.int16), spacing_mm=grid.spacing_mm, affine=np.diag([-2.0, -2.0, 20.0, 1.0]), labels=labels,
            split=split, patient=f"p{number:03d}", study=f"s{number:03d}", series=f"r{number:03d}",
        )  # fmt: skip

    folder = Location.of(place).make_folder()
    sizes = [studies // 3] * 2 + [studies - 2 * (studies // 3)]
    rows = iter([row(number) for number in range(studies)])
    parts = [write_part(folder, at, grid, [next(rows) for _ in range(size)]) for at, size in enumerate(sizes)]
    index = write_index(folder, grid, parts)
    Manifest(grid=grid, parts=tuple(parts), index=index, counts={"rows": studies}, source="test").write(folder)
    return Store.open(folder).uri


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a small store whose two findings can be learned in seconds."""
    return write_small_store(tmp_path_factory.mktemp("small") / "store")


@pytest.fixture(scope="session")
def longer_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with 128 studies to learn from, for what is timed."""
    return write_small_store(tmp_path_factory.mktemp("longer") / "store", 212)


@pytest.fixture(scope="session")
def features(ray_cluster, small_store, tmp_path_factory):
    """URI of the small store's features."""
    from molre.embedding import EmbedConfig, embed

    out = tmp_path_factory.mktemp("features")
    return embed(EmbedConfig(store=small_store, backbone="dinov3-tiny", weights="random", out=str(out))).uri
