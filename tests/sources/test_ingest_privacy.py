"""No health information leaves a header: what is planted is looked for wherever an ingestion writes."""

import contextlib
import csv
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import unicodedata
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from breaking import Good, Value, drop, every, item
from broken_ways import WAYS
from pydicom.datadict import dictionary_VR, tag_for_keyword

from molre.errors import ConfigError
from molre.findings import KEYS
from molre.sources.ingest import IngestConfig, ingest
from molre.sources.labels import read_labels
from molre.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]

MARK = "vqz"
"""Stands in every planted name and text, and nowhere else."""

ROOT = "1.2.826.0.1.3680043.97531"
"""Every planted UID begins with it."""

PROFILE = """
AccessionNumber AcquisitionDate AcquisitionDateTime AcquisitionTime AcquisitionUID AdditionalPatientHistory AdmissionID
AdmittingDate AdmittingDiagnosesDescription AdmittingTime Allergies BarcodeValue CassetteID
ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolEthicsCommitteeApprovalNumber
ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialProtocolID ClinicalTrialProtocolName
ClinicalTrialSeriesDescription ClinicalTrialSeriesID ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSponsorName
ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialTimePointDescription ClinicalTrialTimePointID
CommentsOnThePerformedProcedureStep ConsultingPhysicianName ContainerDescription ContainerIdentifier ContentDate
ContentTime ContrastBolusAgent ContrastBolusStartTime ContrastBolusStopTime CountryOfResidence CurrentPatientLocation
DateOfInstallation DateOfLastCalibration DateOfManufacture DateOfSecondaryCapture DerivationDescription DetectorID
DeviceSerialNumber DeviceUID EthnicGroup FrameOfReferenceUID GantryID IdentifyingComments ImageComments
InstanceCoercionDateTime InstanceCreationDate InstanceCreationTime InstanceCreatorUID InstitutionAddress InstitutionName
InstitutionalDepartmentName InsurancePlanIdentification IrradiationEventUID IssuerOfPatientID LastMenstrualDate
ManufacturerDeviceClassUID MedicalAlerts MedicalRecordLocator MilitaryRank NameOfPhysiciansReadingStudy Occupation
OperatorsName OtherPatientIDs OtherPatientNames PatientAddress PatientAge PatientBirthDate PatientBirthName
PatientBirthTime PatientComments PatientID PatientInstitutionResidence PatientMotherBirthName PatientName
PatientReligiousPreference PatientSize PatientState PatientTelephoneNumbers PatientWeight PerformedLocation
PerformedProcedureStepDescription PerformedProcedureStepEndDate PerformedProcedureStepEndTime PerformedProcedureStepID
PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedStationAETitle PerformedStationName
PerformingPhysicianName PhysiciansOfRecord PlateID ProtocolName ReasonForStudy ReasonForVisit ReferringPhysicianAddress
ReferringPhysicianName ReferringPhysicianTelephoneNumbers RegionOfResidence RequestedContrastAgent
RequestedProcedureDescription RequestedProcedureID RequestingPhysician RequestingService ResponsibleOrganization
ResponsiblePerson SOPAuthorizationDateTime SOPInstanceUID ScheduledPerformingPhysicianName
ScheduledProcedureStepDescription SeriesDate SeriesDescription SeriesInstanceUID SeriesTime ServiceEpisodeDescription
ServiceEpisodeID SpecialNeeds StationName StudyComments StudyDate StudyDescription StudyID StudyInstanceUID StudyTime
SynchronizationFrameOfReferenceUID TextComments TimeOfLastCalibration TimezoneOffsetFromUTC TreatmentSessionUID
VisitComments
""".split()  # noqa: SIM905
"""Attributes of the basic profile (PS3.15, table E.1-1) that the CT image IOD (PS3.3, A.3) or older CT headers hold."""

NUMBERS = {
    "AccessionNumber": "NO-5566778899",
    "DeviceSerialNumber": "SN4433221100",
    "OtherPatientIDs": "MRN8844663311",
    "PatientID": "MRN7734561029",
    "PatientTelephoneNumbers": "+491715550199",
    "StudyID": "8899771155",
}
NAME, GIVEN = "Vqzmueller", "Jovqz"
BIRTH = "19310412"
SAME = {"PatientName": f"{NAME}^{GIVEN}", "PatientBirthDate": BIRTH, "PatientAge": "093Y", "PatientSize": "1.7436129"}
DATE_FORMS = ("1931-04-12", "12.04.1931", "1931_04_12", "12-04-31", "12APR1931", "310412")
IDEOGRAPHS = ("山田", "太郎", "やまだ", "王小东", "小东", "홍길동")
SHORT = ("li_bo", "li^bo", "bo li", "libo")


def planted_value(keyword: str, at: int) -> str:
    """What the attribute says: unique, and easily looked for."""
    form = dictionary_VR(tag_for_keyword(keyword))
    word = "".join("uoiea"[at // 5**place % 5] + "vkjzw"[at // 5**place % 5] for place in range(3))
    date = f"19{32 + at % 50}{1 + at % 12:02d}{1 + at % 28:02d}"
    time = f"{at % 24:02d}{at % 60:02d}17.{at:03d}753"
    told = {
        "DA": date,
        "TM": time,
        "DT": date + time,
        "UI": f"{ROOT}.{at}",
        "PN": f"Vqz{word}^{word}vqz",
        "DS": "71.382974",
    }
    return NUMBERS.get(keyword) or SAME.get(keyword) or told.get(form, f"{MARK}{word}")


PLANTED = {keyword: planted_value(keyword, at) for at, keyword in enumerate(PROFILE)}


def needles() -> dict[bytes, str]:
    """What must not be found, as it may be encoded, lower case."""
    texts = {MARK, ROOT, *IDEOGRAPHS, *SHORT, *DATE_FORMS, "ID-4712-SECRET"}
    texts |= {re.search(r"\d{7,}", number)[0] for number in NUMBERS.values()}
    texts |= {
        value
        for keyword, value in PLANTED.items()
        if dictionary_VR(tag_for_keyword(keyword)) in ("DA", "TM", "DT", "DS")
    }
    texts |= {f"{date[:4]}-{date[4:6]}-{date[6:]}" for date in texts if len(date) == 8 and date.isdigit()}
    found = {}
    for text in texts:
        for encoding in ("utf-8", "utf-16-le", "latin-1", "iso2022_jp", "gb18030", "unicode_escape"):
            with contextlib.suppress(UnicodeEncodeError):
                found[text.encode(encoding).lower()] = text
    return found


NEEDLES = needles()


def leaks(data: bytes) -> set[str]:
    """What was planted and is in the data; digits within a longer number or a digest are none."""
    low = data.lower()
    return {text for needle, text in NEEDLES.items() if any(_is_alone(low, at, needle) for at in places(low, needle))}


def places(data: bytes, needle: bytes):
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


def _is_alone(data: bytes, at: int, needle: bytes) -> bool:
    around = data[max(0, at - 1) : at] + data[at + len(needle) : at + len(needle) + 1]
    return not needle.isdigit() or not any(byte in b"0123456789abcdef" for byte in around)


def test_the_search_finds_what_is_planted():
    assert leaks(b"x Vqzmueller y") == {MARK}
    assert leaks("Name: 山田".encode("utf-16-le")) == {"山田"}
    assert leaks(json.dumps("山田").encode()) == {"山田"}
    assert leaks(repr("山田".encode("iso2022_jp").decode("ascii")).encode()) == set()
    assert leaks(b"born 19310412.") == {BIRTH}
    assert not leaks(b"sha256 0a193104123f")
    assert all(leaks(value.encode()) for keyword, value in PLANTED.items() if keyword != "PatientAge")


def plant(slice_, study: str) -> None:
    """Everything that the profile names, private elements, a sequence, and the meta information."""
    for keyword, value in PLANTED.items():
        slice_.put(tag_for_keyword(keyword), value, dictionary_VR(tag_for_keyword(keyword)))
    slice_.put(tag_for_keyword("StudyInstanceUID"), study)
    slice_.put(tag_for_keyword("SeriesInstanceUID"), f"{study}.1")
    slice_.put(0x00090010, f"{MARK} CREATOR", "LO")
    slice_.put(0x00091001, f"{MARK} private", "LO")
    nested = Value(b"LO", b"vqznested ").written(0x00321060) + Value(b"UI", f"{ROOT}.5".encode()).written(0x0020000D)
    slice_.put(tag_for_keyword("RequestAttributesSequence"), item(nested), "SQ")
    slice_.meta[0x00020003] = Value(b"UI", f"{ROOT}.77".encode())
    slice_.meta[0x00020016] = Value(b"AE", b"VQZSTATION")
    slice_.preamble = b"VQZ".ljust(128, b"\0") + b"DICM"


def no_scale(good: Good) -> None:
    """Refused once it is read."""
    every(drop(tag_for_keyword("RescaleSlope")))(good)


def says(**values: str | bytes):
    """Sets attributes by keyword."""

    def changed(good: Good) -> None:
        for slice_ in good.slices:
            for keyword, value in values.items():
                slice_.put(tag_for_keyword(keyword), value, dictionary_VR(tag_for_keyword(keyword)))

    return changed


def named(charset: str, name: bytes):
    """Sets the name in a character set."""
    return says(SpecificCharacterSet=charset, PatientName=name)


JAPANESE = "Vqzyamada^Taro=山田^太郎=やまだ^たろう".encode("iso2022_jp")
UMLAUTS = "Vqzmüller^Jövqz".encode("latin-1")
KOREAN = b"Vqzhong^Gildong=" + b"\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7=" + b"\x1b$)C" + "홍길동".encode("euc_kr")

REFUSED = {
    f"{NAME.upper()}^{GIVEN.upper()}_{BIRTH}/{NUMBERS['PatientID']}": says(),
    f"{NAME.upper()}{GIVEN}": says(),
    f"{GIVEN} {NAME}": says(),
    unicodedata.normalize("NFD", "Vqzmüller_Jövqz"): named("ISO_IR 100", UMLAUTS),
    "Vqzmueller Joevqz": named("ISO_IR 100", UMLAUTS),
    "vqzMULLER": named("ISO_IR 192", "Vqzmüller^Jö".encode()),
    os.fsdecode("Vqzmüller".encode("latin-1")): named("ISO_IR 100", UMLAUTS),
    "山田 太郎": named("\\ISO 2022 IR 87", JAPANESE),
    "やまだ": named("\\ISO 2022 IR 87", JAPANESE),
    "홍길동": named("\\ISO 2022 IR 149", KOREAN),
    "王小东": named("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030")),
    "Li_Bo": says(PatientName="Li^Bo"),
    "LiBo": says(PatientName="Li^Bo"),
    "BO LI": says(PatientName="Li^Bo"),
    **{f"ct {form}": says() for form in (BIRTH, *DATE_FORMS)},
    PLANTED["ReferringPhysicianName"].replace("^", "_"): says(),
    PLANTED["InstitutionName"]: says(),
    NUMBERS["OtherPatientIDs"]: says(),
    NUMBERS["AccessionNumber"].lower(): says(),
}
"""Folders of studies that are refused, each with what their headers say: paths are shown, and repeat it."""

ROWS = {
    "a": says(Manufacturer=f"{NAME} CT", ConvolutionKernel=f"H31 {GIVEN}"),
    "b": says(Manufacturer=GIVEN, ConvolutionKernel=NUMBERS["PatientID"]),
    "c": says(Manufacturer="Dr Vqzdoc", OperatorsName="Vqzdoc^Anna", ConvolutionKernel=BIRTH),
    "d": says(Manufacturer=PLANTED["InstitutionName"], ConvolutionKernel=PLANTED["StationName"]),
    "e": says(Manufacturer="SN4433221100", ConvolutionKernel=PLANTED["StudyDate"]),
    "f": named("\\ISO 2022 IR 87", JAPANESE),
    "g": named("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030")),
}
"""Studies that are read, with what their headers say where technical words belong."""


@dataclass(frozen=True)
class Ended:
    """What an ingestion left."""

    root: Path
    store: Path
    linkage: Path
    printed: str
    session: Path


@pytest.fixture(scope="module")
def kit() -> SimpleNamespace:
    """The small scanner of the DICOM tests."""
    place = Path(__file__).parents[1] / "dicom" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_scanner", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return SimpleNamespace(scan=module.Scan, encoded=module.encoded)


def write_study(kit, folder: Path, study: str, *changes, after=lambda folder: None, **settings) -> None:
    good = Good.of(kit, folder, study, **settings)
    for slice_ in good.slices:
        plant(slice_, study)
    for change in changes:
        change(good)
    good.write()
    after(folder)


@pytest.fixture(scope="module")
def planted(kit, tmp_path_factory):
    """An archive of planted studies, good and broken in every way, and its labels."""
    root = tmp_path_factory.mktemp("tree") / "in"
    numbers = iter(range(1000))
    for folder, change in ROWS.items():
        write_study(kit, root / folder, f"{ROOT}.9.{next(numbers)}", change)
    for folder, change in REFUSED.items():
        write_study(kit, root / "refused" / folder, f"{ROOT}.9.{next(numbers)}", change, no_scale)
    patient = root / f"{NAME.upper()}^{GIVEN.upper()}_19500131" / NUMBERS["PatientID"]
    for way in WAYS:
        study = f"{ROOT}.9.{next(numbers)}"
        write_study(kit, patient / study, study, way.change, after=way.after, **way.settings)
    for folder in (f"{NAME}_{GIVEN}", f"{NAME}^{GIVEN}", f"{ROOT}.1", "12.04.1931", NUMBERS["PatientID"]):
        (root / "alone" / folder).mkdir(parents=True)
        (root / "alone" / folder / f"{GIVEN}.dcm").write_text(f"{NAME}, {GIVEN}, born {BIRTH}, is no DICOM")
    (root / "alone" / f"{NAME}^{GIVEN}.zip").write_bytes(b"PK\3\4")
    rows = [f"{ROOT}.9.{number},{NUMBERS['PatientID']},{number % 2}" for number in range(12)]
    rows += [f"{ROOT}.8.1,{NUMBERS['OtherPatientIDs']},1", f",{NUMBERS['PatientID']},1"]
    (root.parent / "labels.csv").write_text(f"study,patient,{KEYS[0]}\n" + "\n".join(rows) + "\n")
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def ended(ray_cluster, planted, tmp_path_factory) -> Ended:
    """The real job over the archive, on the test run's cluster."""
    import ray

    place = tmp_path_factory.mktemp("out")
    command = [sys.executable, "jobs/ingest.py", "--source", "dicom", "--root", planted, "--store", place / "store"]
    command += [
        "--labels",
        planted.parent / "labels.csv",
        "--key-file",
        place / "key",
        "--linkage",
        place / "linkage.csv",
    ]
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    done = subprocess.run(
        list(map(str, command)), cwd=REPOSITORY, env=environment, capture_output=True, timeout=400, check=False
    )
    printed = (done.stdout + done.stderr).decode(errors="surrogateescape")
    assert done.returncode == 0, printed
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    return Ended(planted, place / "store", place / "linkage.csv", printed, session)


@pytest.mark.ray
@pytest.mark.slow
class TestNothingPlantedIsFound:
    """Each in one of the places that an ingestion writes to."""

    def test_in_what_the_job_printed(self, ended):
        assert "studies found" in ended.printed
        assert not leaks(ended.printed.encode(errors="surrogateescape"))

    def test_in_the_files_of_the_store(self, ended):
        files = [file for file in ended.store.rglob("*") if file.is_file()]
        assert len(files) > 10
        assert {file.name: leaks(file.read_bytes()) for file in files if leaks(file.read_bytes())} == {}
        assert not leaks(b"".join(os.fsencode(file) for file in files))

    def test_behind_the_escapes_of_json_and_yaml(self, ended):
        for file in ended.store.glob("*.json"):
            assert not leaks(json.dumps(json.loads(file.read_bytes()), ensure_ascii=False).encode()), file.name
        told = yaml.safe_load((ended.store / "config.yaml").read_text())
        assert not leaks(yaml.safe_dump(told, allow_unicode=True).encode())

    def test_in_the_rows_and_refusals_one_by_one(self, ended):
        store = Store.open(ended.store)
        rows = store.table().to_pylist()
        assert len(rows) > 20
        assert [(row, leaks(repr(row).encode())) for row in rows if leaks(repr(row).encode())] == []
        with (ended.store / "rejected.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = list(csv.DictReader(file))
        assert len(lines) > 60
        found = [(line["path"], leaks(line["path"].encode(errors="surrogateescape"))) for line in lines]
        assert [pair for pair in found if pair[1]] == []

    def test_in_the_logs_of_ray(self, ended):
        # Jobs of other tests were submitted with a copy of this folder, tests and their planted names included.
        files = [file for file in ended.session.rglob("*") if file.is_file() and "working_dir_files" not in file.parts]
        assert any(file.name.startswith("worker-") and file.suffix == ".out" for file in files)
        assert any(file.parent.name == "ray-data" for file in files)
        found = {str(file.relative_to(ended.session)): leaks(file.read_bytes()) for file in files}
        assert {name: texts for name, texts in found.items() if texts} == {}

    def test_in_the_metrics_of_ray(self, ended):
        targets = json.loads((ended.session.parent / "prom_metrics_service_discovery.json").read_text())
        scraped = [scrape(f"http://{target}/metrics") for group in targets for target in group["targets"]]
        assert any(b"ray_data" in text for text in scraped)
        assert not leaks(b"".join(scraped))

    def test_in_the_names_of_tasks_and_datasets(self, ended, ray_cluster):
        import ray
        from ray.util import state

        where = {"address": ray.get_runtime_context().gcs_address, "limit": 10_000, "raise_on_missing_output": False}
        told = [state.list_tasks(detail=True, **where)]
        told += [
            ask(**where) for ask in (state.list_actors, state.list_jobs, state.list_runtime_envs, state.list_workers)
        ]
        assert "Map" in repr(told)
        assert not leaks(repr(told).encode())
        token = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text()
        for job in state.list_jobs(**where):
            url = f"{ray_cluster}/api/data/datasets/{job.job_id}"
            assert not leaks(scrape(url, {"Authorization": f"Bearer {token}"}))


def scrape(url: str, headers: dict | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as reply:
        return reply.read()


@pytest.mark.ray
@pytest.mark.slow
def test_the_linkage_alone_tells_which_file_it_was(ended):
    assert stat.S_IMODE(ended.linkage.stat().st_mode) == 0o600
    with ended.linkage.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        links = {line["shown"]: line["path"] for line in csv.DictReader(file)}
    with (ended.store / "rejected.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        shown = [line["path"] for line in csv.DictReader(file)]
    assert set(shown) <= set(links)
    assert all(len(links[path]) > 4000 or os.path.lexists(ended.root / links[path]) for path in shown)
    assert any(NAME.upper() in path for path in links.values())


@pytest.fixture
def here(monkeypatch):
    """Fills stores in this process, without a cluster."""
    from molre.store import fill

    monkeypatch.setattr(fill, "spread", lambda function, items: ((item, function(item)) for item in items))


def test_the_key_alone_decides_the_pseudonyms(here, kit, tmp_path):
    for number, change in enumerate((says(), says(), no_scale)):
        write_study(kit, tmp_path / "in" / f"{NAME}^{number}", f"{ROOT}.9.{number}", change)
    (tmp_path / "one.key").write_bytes(bytes(range(32)))
    (tmp_path / "other.key").write_bytes(bytes(range(1, 33)))
    told = {}
    for run, key in (("a", "one"), ("b", "one"), ("c", "other")):
        config = IngestConfig(
            source="dicom", root=str(tmp_path / "in"), store=str(tmp_path / run), key_file=str(tmp_path / f"{key}.key")
        )
        table = ingest(config).table(["patient", "study", "series"]).to_pydict()
        told[run] = {name for names in table.values() for name in names} | {
            (tmp_path / run / "rejected.csv").read_text()
        }
    assert told["a"] == told["b"]
    assert len(told["a"]) == 1 + 2 + 2 + 1
    assert not told["a"] & told["c"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda key: key.write_bytes(b"short"), "is too short: it must have at least 32 bytes"),
        (lambda key: key.write_bytes(b""), "is too short"),
        (lambda key: key.mkdir(), "cannot be read or made: Is a directory"),
        (lambda key: key.symlink_to(key), "cannot be read or made: Too many levels of symbolic links"),
        (lambda key: key.parent.joinpath("file").write_text(""), "cannot be read or made: File exists"),
    ],
)
def test_a_key_that_is_none_is_one_line(here, kit, tmp_path, make, said):
    write_study(kit, tmp_path / "in", f"{ROOT}.9.1")
    key = tmp_path / "key"
    make(key)
    key_file = tmp_path / "file" / "key" if (tmp_path / "file").exists() else key
    config = IngestConfig(
        source="dicom", root=str(tmp_path / "in"), store=str(tmp_path / "store"), key_file=str(key_file)
    )
    with pytest.raises(ConfigError, match=said) as raised:
        ingest(config)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("store/part-*"))


def test_an_error_that_nobody_foresaw_is_not_quoted(here, kit, tmp_path, monkeypatch):
    from molre.dicom import discovery

    sighted = discovery.sighted

    def failing(tree, entry):
        if entry.name == "b/003.dcm":
            raise ValueError(f"{NAME}^{GIVEN}")
        return sighted(tree, entry)

    monkeypatch.setattr(discovery, "sighted", failing)
    for number, name in enumerate("ab"):
        write_study(kit, tmp_path / "in" / name, f"{ROOT}.9.{number}")
    config = IngestConfig(
        source="dicom", root=str(tmp_path / "in"), store=str(tmp_path / "store"), key_file=str(tmp_path / "key")
    )
    assert ingest(config).rows == 1
    told = (tmp_path / "store" / "rejected.csv").read_text().splitlines()
    assert told[1].startswith("b/000.dcm,ENC_FAILED,reading it failed with ValueError at test_ingest_privacy.py:")
    assert not leaks("".join(told).encode())


@pytest.mark.parametrize(
    "text",
    [
        f"{ROOT}.9.1,1\n",
        f"{NAME},{BIRTH},1\n",
        f"study,{NAME}\n1,1\n",
        f"study;{NAME}\n",
        f"study,{KEYS[0]}\n{ROOT}.9.1,{NAME}\n",
        f"study,{KEYS[0]}\n{ROOT}.9.1,1\n{ROOT}.9.1,1\n",
        f'study,{KEYS[0]}\n{ROOT}.9.1,"{NAME}\n',
        f"study,split\n{ROOT}.9.1,{NAME}\n",
        f"patient,{KEYS[0]}\n{NUMBERS['PatientID']},1,{NAME}\n",
    ],
)
def test_a_wrong_table_of_labels_is_not_quoted(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_labels(tmp_path / "labels.csv")
    assert not leaks(str(raised.value).encode())
