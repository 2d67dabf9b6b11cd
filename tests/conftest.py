"""Set-up of the whole test run: checked shapes, warnings, real data where it lies, and one Ray cluster."""

import os
import shutil
import tempfile
from pathlib import Path

from jaxtyping import install_import_hook

install_import_hook("molre", "beartype.beartype")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "token"
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")
os.environ["PATH"] = f"{Path(os.sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"


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
    )
    yield f"http://{context.dashboard_url}"
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
