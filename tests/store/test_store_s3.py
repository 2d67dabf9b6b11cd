"""A store in object storage, against a real S3 server on this machine."""

import numpy as np
import pyarrow.fs as pafs
import pytest

from molre.errors import StoreError
from molre.location import Location
from molre.store import Store

server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")


@pytest.fixture
def bucket(monkeypatch):
    """URI of an empty bucket."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in (("KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ACCESS_KEY_ID", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    pafs.S3FileSystem(
        allow_bucket_creation=True, region="us-east-1", endpoint_override=f"http://{host}:{port}"
    ).create_dir("archive")
    yield "s3://archive"
    running.stop()


def test_a_store_in_s3_is_written_finished_and_read(bucket, filled, invented):
    uri = f"{bucket}/head-ct/store"
    store = filled(invented.Invented(10, fates={3: "refuse"}), uri)
    assert store.uri == uri
    again = Store.open(uri)
    again.verify()
    assert again.rows == 9
    assert np.array_equal(again.volumes([8, 0])[0], invented.voxels(9))
    assert again.table(["study"])["study"].to_pylist()[:4] == ["s0000", "s0001", "s0002", "s0004"]
    names = {
        info.base_name for info in again._location.filesystem.get_file_info(pafs.FileSelector("archive/head-ct/store"))
    }
    assert {"manifest.json", store.manifest.index.name, "rejected.csv", "part-00000.arrow", "part-00000.json"} <= names
    assert not [name for name in names if name.startswith(".")]
    (Location.of(uri) / "part-00001.json").delete()
    (Location.of(uri) / "manifest.json").delete()
    with pytest.raises(StoreError, match="incomplete"):
        Store.open(uri)
    assert filled(invented.Invented(10, fates={3: "refuse"}), uri).manifest.parts == again.manifest.parts
