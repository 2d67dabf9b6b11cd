"""What arrives: bounded, never named by its sender, and nothing outside the private folder."""

import asyncio
import gzip
import io
import stat
import zipfile

import httpx
import pytest

from molre.errors import ConfigError
from molre.serving.limits import MIB, Limits, RequestError
from molre.serving.uploads import receive, unpack


def body_of(files):
    request = httpx.Request("POST", "http://x", files=files)
    return request.headers["content-type"], request.read()


def received(folder, body, content_type, limits=None, length=None, chunk=1000):
    async def chunks():
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]

    return asyncio.run(receive(content_type, length, chunks(), folder, limits or Limits()))


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def unpacked(tmp_path, data, limits=None):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(data)
    target.mkdir()
    return unpack([source], target, limits or Limits())


def code_of(caught):
    return caught.value.status, caught.value.code


def test_files_arrive_whole_and_numbered_whatever_they_are_called(tmp_path):
    files = [("file", (name, bytes([at]) * 5000)) for at, name in enumerate(["a.dcm", "../../b", "/etc/c", "a.dcm"])]
    content_type, body = body_of(files)
    kept = received(tmp_path, body, content_type, chunk=7)
    assert [file.name for file in kept] == ["000000", "000001", "000002", "000003"]
    assert [file.read_bytes() for file in kept] == [bytes([at]) * 5000 for at in range(4)]
    assert all(file.parent == tmp_path for file in kept)


def test_a_thousand_files_are_no_problem_and_one_too_many_is(tmp_path):
    content_type, body = body_of([("file", (f"{at}.dcm", b"x")) for at in range(1200)])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert len(received(tmp_path / "a", body, content_type, chunk=65536)) == 1200
    with pytest.raises(RequestError) as caught:
        received(tmp_path / "b", body, content_type, Limits(members=1199))
    assert code_of(caught) == (413, "too_many_files")


@pytest.mark.parametrize("length", [None, str(2 * MIB)])
def test_a_body_is_cut_off_at_its_bound(tmp_path, length):
    content_type, body = body_of({"file": ("a", b"\0" * (2 * MIB))})
    with pytest.raises(RequestError) as caught:
        received(tmp_path, body, content_type, Limits(body_mib=1), length)
    assert code_of(caught) == (413, "too_large")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= MIB


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("", b"", "not_multipart"),
        ("application/zip", b"PK", "not_multipart"),
        ("multipart/form-data", b"", "not_multipart"),
        ("multipart/form-data; boundary=b", b"", "malformed_body"),
        ("multipart/form-data; boundary=b", b"hello", "malformed_body"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", "empty_upload"),
    ],
)
def test_bodies_that_are_no_upload(tmp_path, content_type, body, code):
    with pytest.raises(RequestError) as caught:
        received(tmp_path, body, content_type)
    assert caught.value.code == code
    assert 400 <= caught.value.status < 500


def test_a_body_cut_short_is_not_taken_for_a_scan(tmp_path):
    content_type, body = body_of({"file": ("a", b"x" * 5000)})
    with pytest.raises(RequestError) as caught:
        received(tmp_path, body[:3000], content_type)
    assert caught.value.code == "malformed_body"


def test_only_empty_files_are_an_empty_upload(tmp_path):
    content_type, body = body_of({"file": ("a.dcm", b"")})
    with pytest.raises(RequestError) as caught:
        received(tmp_path, body, content_type)
    assert caught.value.code == "empty_upload"


def test_zip_members_come_out_numbered(tmp_path):
    files = unpacked(tmp_path, zipped([("a/1.dcm", b"one"), ("a/", b""), ("b/1.dcm", b"two")]))
    assert [(file.name, file.read_bytes()) for file in files] == [("000000", b"one"), ("000001", b"two")]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "C:evil"])
def test_names_that_lead_out_of_a_zip_are_refused(tmp_path, name):
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, zipped([("good", b"x"), (name, b"y")]))
    assert code_of(caught) == (400, "unsafe_zip")
    assert "evil" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, zipped([(link, "/etc/passwd")]))
    assert caught.value.code == "unsafe_zip"


def test_a_zip_bomb_is_refused_by_its_ratio_before_it_fills_the_disk(tmp_path):
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, zipped([("a.dcm", b"\0" * (100 * MIB))]))
    assert code_of(caught) == (413, "suspicious_compression")
    assert sum(file.stat().st_size for file in (tmp_path / "out").iterdir()) <= 33 * MIB


def test_what_unpacks_to_too_much_is_refused(tmp_path):
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, zipped([("a.dcm", b"\0" * (3 * MIB))]), Limits(inflated_mib=2))
    assert caught.value.code == "too_large_unpacked"


def test_a_zip_of_too_many_files_is_refused(tmp_path):
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, zipped([(str(at), b"x") for at in range(11)]), Limits(members=10))
    assert caught.value.code == "too_many_files"


def test_a_gzip_bomb_is_refused(tmp_path):
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, gzip.compress(b"\0" * (100 * MIB), 9))
    assert caught.value.code == "suspicious_compression"


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_damaged_archives_say_so(tmp_path, keep):
    data = zipped([("a.dcm", bytes(range(256)) * 500)])
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, data[: int(len(data) * keep)])
    assert code_of(caught) == (400, "damaged_zip")


def test_a_damaged_gzip_says_so(tmp_path):
    data = gzip.compress(bytes(range(256)) * 500)
    with pytest.raises(RequestError) as caught:
        unpacked(tmp_path, data[: len(data) // 2])
    assert caught.value.code == "damaged_gzip"


def test_limits_must_be_positive():
    with pytest.raises(ConfigError, match="members"):
        Limits(members=0)
