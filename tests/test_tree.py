"""Every file of a tree is found once, wherever the tree lies."""

import os
import pickle
import shutil

import numpy as np
import pyarrow.fs as pafs
import pytest

from molre.location import Location
from molre.tree import Entry, Tree


@pytest.fixture(scope="module")
def bucket():
    """URI of a bucket on a real S3 server on this machine, and a function that writes objects as pyarrow would not."""
    server = pytest.importorskip("moto.server", reason="the S3 server is not installed: pip install moto[server]")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("ENDPOINT_URL", f"http://{host}:{port}"),
            ("DEFAULT_REGION", "us-east-1"), ("EC2_METADATA_DISABLED", "true"),
        ):  # fmt: skip
            patch.setenv(f"AWS_{name}", value)
        import boto3

        client = boto3.client("s3")
        client.create_bucket(Bucket="archive")
        yield "s3://archive", lambda key, data=b"": client.put_object(Bucket="archive", Key=key, Body=data)
    running.stop()


@pytest.fixture
def planted(tmp_path):
    """A random tree of 30 files, six folders deep at most, and its files by name."""
    random, root, files = np.random.default_rng(2), tmp_path / "tree", {}
    names = ["IM 1", "ä€", "a.dcm", "b", "B", "10", "9", "x%20y", "."]
    for number in range(30):
        folders = [str(random.choice(names[:-1])) + "d" for _ in range(int(random.integers(0, 6)))]
        name = "/".join([*folders, f"{random.choice(names)}{number}"])
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        files[name] = random.bytes(int(random.integers(0, 40)))
        (root / name).write_bytes(files[name])
    return root, files


def sizes(tree):
    return {entry.name: entry.size for entry in tree.files()}


def test_every_file_is_found_once_with_its_size(planted):
    root, files = planted
    tree = Tree(Location.of(root))
    found = list(tree.files())
    assert len(found) == len(files)
    assert sizes(tree) == {name: len(data) for name, data in files.items()}
    assert all(entry.modified_ns == (root / entry.name).stat().st_mtime_ns for entry in found)


def test_folders_count_what_lies_in_them_and_come_in_order(planted):
    tree = Tree(Location.of(planted[0]))
    folders = list(tree.folders())
    assert folders[0].name == ""
    assert [folder.name.split("/") for folder in folders[1:]] == sorted(
        folder.name.split("/") for folder in folders[1:]
    )
    for folder in folders:
        entries = tree.entries(folder.name)
        assert len(entries) == folder.files
        assert entries == sorted(entries, key=lambda entry: entry.name)


def test_a_tree_in_s3_is_the_same_tree(planted, bucket):
    root, files = planted
    uri, _ = bucket
    location = Location.of(f"{uri}/some/where")
    pafs.copy_files(str(root), location.path, destination_filesystem=location.filesystem)
    here, there = Tree(Location.of(root)), pickle.loads(pickle.dumps(Tree(location)))
    assert sizes(there) == sizes(here)
    assert sorted(there.folders(), key=str) == sorted(here.folders(), key=str)
    assert all(there.head(name, 10) == here.head(name, 10) == data[:10] for name, data in files.items() if data)
    with there.brought(sorted(files)) as paths:
        assert [path.read_bytes() for path in paths] == [files[name] for name in sorted(files)]
        aside = paths[0].parent
    assert not aside.exists()
    with here.brought(sorted(files)) as paths:
        assert paths == [root / name for name in sorted(files)]
    assert paths[0].exists()


def test_what_only_object_storage_holds(bucket):
    uri, put = bucket
    put("tree/marker/")  # some tools make an empty object for a folder
    put("tree/a.dcm", b"1")
    put("tree/a.dcm/inside.dcm", b"22")
    put("tree/" + "n" * 300 + ".dcm", b"333")
    put("tree/two//slashes.dcm", b"4444")
    put("tree2/other.dcm", b"55555")
    tree = Tree(Location.of(f"{uri}/tree"))
    assert sizes(tree) == {"a.dcm": 1, "a.dcm/inside.dcm": 2, "n" * 300 + ".dcm": 3}
    assert [folder.name for folder in tree.folders() if folder.closed] == ["two/"]
    with tree.brought(["n" * 300 + ".dcm", "a.dcm/inside.dcm"]) as paths:
        assert [path.read_bytes() for path in paths] == [b"333", b"22"]
        assert {path.suffix for path in paths} == {".dcm"}


@pytest.mark.parametrize("place", ["here", "s3"])
def test_a_single_file_is_a_tree_of_one(planted, bucket, place):
    root, files = planted
    name, data = max(files.items(), key=lambda item: len(item[1]))
    location = Location.of(root / name)
    if place == "s3":
        bucket[1]("one.dcm", data)
        location = Location.of(f"{bucket[0]}/one.dcm")
    tree = Tree(location)
    (entry,) = tree.files()
    assert (entry.name, entry.size) == (location.name, len(data))
    assert [(folder.name, folder.files) for folder in tree.folders()] == [("", 1)]
    assert tree.head(entry.name, 5) == data[:5]
    assert tree.is_there()
    with tree.brought([entry.name]) as (path,):
        assert path.read_bytes() == data


def test_links_are_counted_and_not_entered_and_dead_ones_are_files_of_no_size(planted, tmp_path):
    root, files = planted
    (tmp_path / "outside").write_bytes(b"123")
    (root / "file").symlink_to(tmp_path / "outside")
    (root / "folder").symlink_to(root)
    (root / "gone").symlink_to("nowhere")
    (root / "itself").symlink_to("itself")
    os.mkfifo(root / "pipe")
    tree = Tree(Location.of(root))
    assert sizes(tree) == {name: len(data) for name, data in files.items()} | {
        "file": 3, "gone": 0, "itself": 0, "pipe": 0,
    }  # fmt: skip
    assert sum(folder.links for folder in tree.folders()) == 1
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert sizes(Tree(Location.of(linked))) == sizes(tree)


def test_names_that_are_no_text_are_kept_as_they_are(tmp_path):
    name = os.fsdecode(b'\xff\xfe\n\r".dcm')
    (tmp_path / name).write_bytes(b"12")
    tree = Tree(Location.of(tmp_path))
    assert [(entry.name, entry.size) for entry in tree.files()] == [(name, 2)]
    with tree.brought([name]) as (path,):
        assert path.read_bytes() == b"12"


def test_a_folder_that_cannot_be_listed_is_said_so(tmp_path):
    """Below a path longer than the system takes at once, which stops root as well."""
    (tmp_path / "file").write_bytes(b"1")
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=handle)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    folders = list(Tree(Location.of(tmp_path)).folders())
    assert [folder.closed for folder in folders] == [False] * (len(folders) - 1) + [True]
    assert folders[-1].name.startswith("d" * 250 + "/")
    shutil.rmtree(tmp_path / ("d" * 250))


def test_what_is_not_there(tmp_path, bucket):
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "absent", tmp_path / "empty", f"{bucket[0]}/absent", "s3://no-such-bucket/x"):
        assert not Tree(Location.of(root)).is_there()
    for root in (tmp_path / "empty", bucket[0]):
        tree = Tree(Location.of(root))
        with pytest.raises(OSError, match=r"absent\.dcm"):
            tree.head("absent.dcm", 5)
    with pytest.raises(OSError, match=r"absent\.dcm"), tree.brought(["absent.dcm"]):
        pass


def test_what_befalls_a_file_shows_in_its_entry(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", ns=(5, 5))
    tree = Tree(Location.of(tmp_path))
    assert tree.entries("") == [Entry("a", 1, 5)]
    (tmp_path / "a").write_bytes(b"2")
    assert tree.entries("") != [Entry("a", 1, 5)]
