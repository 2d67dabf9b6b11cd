"""The application over real HTTP on the run's Ray cluster, with a real head CT."""

import io
import json
import re
import socket
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from molre.findings import KEYS

pytestmark = pytest.mark.ray
TOKEN = "a token of more than sixteen characters"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def served(ray_cluster, bundle_folder, tmp_path_factory):
    """The address of the application, and of a guarded one with small limits under /guarded."""
    from ray import serve
    from ray.serve.config import HTTPOptions

    from molre.serving.app import build
    from molre.serving.settings import Settings

    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(TOKEN + "\n")
    port = free_port()
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=port))
    settings = Settings(bundle=str(bundle_folder), model_cpus=0, threads=1)
    serve.run(build(settings), name="open", route_prefix="/")
    guarded = settings.model_copy(
        update={"token_file": str(token), "body_mib": 1, "inflated_mib": 4, "timeout_s": 0.05}
    )
    serve.run(build(guarded), name="guarded", route_prefix="/guarded")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


@pytest.fixture(scope="module")
def client(served):
    with httpx.Client(base_url=served, timeout=60) as client:
        yield client


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def probabilities_of(reply):
    assert reply.status_code == 200, reply.text
    return np.array([finding["probability"] for finding in reply.json()["findings"]])


def error_of(reply):
    body = reply.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    return reply.status_code, body["error"]["code"]


def test_a_zip_gives_to_the_bit_what_the_bundle_gives_on_the_same_files(client, ge_zip, head_ct_ge, bundle_folder):
    from molre.bundle import load_bundle
    from molre.dicom import read_study, scan
    from molre.volume import resample

    reply = client.post("/v1/predict", files={"file": ("scan.zip", ge_zip)})
    bundle = load_bundle(bundle_folder)
    volume = resample(read_study(scan(head_ct_ge).studies[0]).stack, bundle.grid)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as the served model: sums over threads differ in the last bit
    expected = bundle.predict(volume.hu[None])[0]
    torch.set_num_threads(before)
    np.testing.assert_array_equal(probabilities_of(reply).astype(np.float32), expected)
    body = reply.json()
    assert [finding["key"] for finding in body["findings"]] == list(KEYS)
    assert body["study"]["slices"] == 28
    assert any("GEO_TILT" in repair for repair in body["study"]["repairs"])
    assert body["model"]["bundle"] == bundle.sha
    assert body["seconds"] > 0


def test_thresholds_come_with_their_findings_and_not_with_others(client, ge_zip):
    findings = client.post("/v1/predict", files={"file": ge_zip}).json()["findings"]
    assert all(entry["positive"] == (entry["probability"] >= entry["threshold"]) for entry in findings[:10])
    assert not any("threshold" in entry or "positive" in entry for entry in findings[10:])


def test_loose_files_in_any_order_and_a_zip_agree(client, ge_zip, head_ct_ge):
    files = [("file", (f"{at}", file.read_bytes())) for at, file in enumerate(sorted(head_ct_ge.glob("*.dcm"))[::-1])]
    loose = probabilities_of(client.post("/v1/predict", files=files))
    np.testing.assert_array_equal(loose, probabilities_of(client.post("/v1/predict", files={"f": ge_zip})))


def test_nifti_is_read_and_says_so(client, head_ct_ge):
    import nibabel as nib

    hu = np.full((60, 60, 30), -1000, np.int16)
    hu[10:50, 10:50, 3:27] = 40
    affine = np.diag([-4.0, -4.0, 5.0, 1.0])
    reply = client.post("/v1/predict", files={"file": ("x.nii", nib.Nifti1Image(hu, affine).to_bytes())})
    assert probabilities_of(reply).shape == (75,)
    assert reply.json()["study"]["format"] == "nifti"


def test_uploads_that_hold_no_one_study_are_refused(client, head_ct_ge):
    slices = {file.name: file.read_bytes() for file in head_ct_ge.glob("*.dcm")}
    slices["14.dcm"] = slices["14.dcm"][:100_000]
    cases = {
        "text": ("no_study", {"file": ("scan.dcm", b"hello")}),
        "unrelated": ("no_study", {"file": zipped({"a.txt": b"a", "b/c.json": b"{}"})}),
        "truncated": ("ENC_TRUNCATED", {"file": zipped(slices)}),
        "empty file": ("empty_upload", {"file": b""}),
        "traversal": ("unsafe_zip", {"file": zipped({"../../../tmp/evil.dcm": b"x"})}),
        "bomb": ("suspicious_compression", {"file": zipped({"a.dcm": b"\0" * 80_000_000})}),
    }
    for name, (code, files) in cases.items():
        status, said = error_of(client.post("/v1/predict", files=files))
        assert (name, said, status // 100) == (name, code, 4)
    assert not Path("/tmp/evil.dcm").exists()


def test_an_empty_body_and_a_body_that_is_no_form_are_refused(client):
    assert error_of(client.post("/v1/predict")) == (415, "not_multipart")
    assert error_of(client.post("/v1/predict", content=b"PK")) == (415, "not_multipart")
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert error_of(client.post("/v1/predict", content=b"", headers=form)) == (400, "malformed_body")


def test_two_studies_at_once_are_refused(client, head_ct_ge):
    import pydicom

    files = []
    for at, file in enumerate(sorted(head_ct_ge.glob("*.dcm"))[:8]):
        dataset = pydicom.dcmread(file)
        if at >= 4:
            dataset.StudyInstanceUID = "1.2.3.4"
            dataset.SeriesInstanceUID = "1.2.3.4.5"
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        files.append(("file", (str(at), buffer.getvalue())))
    assert error_of(client.post("/v1/predict", files=files)) == (422, "several_studies")


def test_no_error_and_no_reply_holds_text_of_a_header(client, ge_zip, head_ct_ge):
    import pydicom

    data = pydicom.dcmread(head_ct_ge / "01.dcm")
    data.PatientName, data.PatientID = "SECRET^NAME", "SECRETID"
    del data.ImageOrientationPatient
    buffer = io.BytesIO()
    data.save_as(buffer)
    reply = client.post("/v1/predict", files={"file": ("SECRETFILE.dcm", buffer.getvalue())})
    assert reply.status_code == 422
    assert "SECRET" not in reply.text
    whole = client.post("/v1/predict", files={"file": ge_zip}).text
    assert str(pydicom.dcmread(head_ct_ge / "01.dcm").StudyInstanceUID) not in whole


def test_several_clients_at_once_get_the_same_answer(client, ge_zip):
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda _: client.post("/v1/predict", files={"file": ge_zip}), range(6)))
    first, *others = [probabilities_of(reply) for reply in replies]
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_nothing_of_an_upload_is_left_behind(client, ge_zip):
    client.post("/v1/predict", files={"file": ge_zip})
    client.post("/v1/predict", files={"file": b"text"})
    assert list(Path(tempfile.gettempdir()).glob("molre-upload-*")) == []


def test_probes_findings_and_unknown_paths(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    listed = client.get("/v1/findings").json()
    assert [entry["key"] for entry in listed["findings"]] == list(KEYS)
    assert listed["model"]["grid"] == "demo"
    assert error_of(client.get("/v1/nothing")) == (404, "not_found")
    assert error_of(client.get("/v1/predict")) == (405, "method_not_allowed")


def test_openapi_describes_the_upload_and_the_errors(client):
    operation = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["file"]["items"] == {"type": "string", "format": "binary"}
    assert {"200", "400", "401", "413", "415", "422", "503", "504"} <= set(operation["responses"])
    assert operation["security"] == [{"token": []}]


def test_the_page_loads_nothing_from_elsewhere(client):
    reply = client.get("/")
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)[^"']*""", reply.text) == []
    assert "http://" not in reply.text
    assert "https://" not in reply.text
    assert "Research use only" in reply.text


def test_a_guarded_service_wants_its_token_and_leaves_probes_open(client, ge_zip):
    right = {"Authorization": f"Bearer {TOKEN}"}
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ):
        reply = client.post("/guarded/v1/predict", files={"file": b"x"}, headers=headers)
        assert error_of(reply) == (401, "unauthorised")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert client.get("/guarded/v1/findings", headers=headers).status_code == 401
    assert client.get("/guarded/v1/findings", headers=right).status_code == 200
    assert client.get("/guarded/healthz").status_code == 200
    assert client.get("/guarded/readyz").status_code == 200
    assert client.get("/guarded/").status_code == 200


def test_a_body_over_the_bound_is_answered_and_not_just_cut(client, ge_zip):
    assert len(ge_zip) > 2**20
    right = {"Authorization": f"Bearer {TOKEN}"}
    reply = client.post("/guarded/v1/predict", files={"file": ge_zip}, headers=right)
    assert error_of(reply) == (413, "too_large")


def test_a_study_that_takes_too_long_is_given_up(client, head_ct_ge):
    right = {"Authorization": f"Bearer {TOKEN}"}
    files = zipped({file.name: file.read_bytes() for file in sorted(head_ct_ge.glob("*.dcm"))[10:14]})
    reply = client.post("/guarded/v1/predict", files={"file": files}, headers=right)
    assert error_of(reply) == (504, "timeout")


def test_the_token_reaches_neither_serve_state_nor_logs(served):
    from ray import serve

    assert TOKEN not in json.dumps(serve.status().__dict__, default=str)
    logs = [file for file in Path("/tmp/ray/session_latest/logs/serve").glob("*") if file.is_file()]
    assert not any(TOKEN.encode() in file.read_bytes() for file in logs)
