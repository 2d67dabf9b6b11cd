"""Nothing but what is drawn tells of a finding: neither headers, files, mean intensity, noise nor a fixed voxel."""

from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from molre.findings import KEYS
from molre.phantom import CohortConfig, make_study, write_study
from molre.phantom.plan import make_plan
from molre.volume import Grid, Stack, resample

PATIENTS = 220
CONFIG = CohortConfig(seed=41, matrix_px=96, slices_min=16, slices_max=22, rarest=0.08)
GRID = Grid(name="coarse", shape=(24, 56, 56), spacing_mm=(6.0, 4.0, 4.0))
LEAST = 10
"""Studies that show a finding below which no probe of it says anything."""
INFORMATIVE = {
    "PatientAge", "PatientBirthDate", "PatientSex", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
    "PatientID", "PatientName", "PixelData", "SeriesDescription",
}  # fmt: skip
"""Age, sex and day may tell something; names tell nothing new, nor does a description of kernel and thickness."""
TOLD_BY_PLACE = {
    "cerebellar_atrophy": "fluid around the vermis",
    "subarachnoid_hemorrhage": "blood in the suprasellar cistern",
    "aneurysmal_pattern_subarachnoid_hemorrhage": "blood in the suprasellar cistern",
    "small_vessel_ischemic_disease": "dark white matter beside the ventricles",
    "lacunar_infarct": "comes with small vessel disease",
    "cerebral_atrophy": "wide Sylvian fissures and ventricles",
    "ventriculomegaly_or_communicating_hydrocephalus": "wide ventricles",
    "obstructive_hydrocephalus": "wide ventricles",
    "intraventricular_hemorrhage": "blood in the ventricles",
    "transtentorial_herniation": "closed cisterns around the midbrain",
    "midline_shift": "wandering septum",
    "subfalcine_herniation": "wandering septum",
    "hypoxic_ischemic_injury": "dark nuclei on both sides",
    "basal_ganglia_calcification": "dense pallidum",
    "colloid_cyst": "dense foramen of Monro",
    "pituitary_or_sellar_mass": "a full sella",
    "pineal_region_mass": "a mass in place of the pineal gland",
    "venous_infarct": "a dense sinus",
    "cerebral_venous_sinus_thrombosis": "a dense sinus",
}
"""Findings that lie in one place in whatever patient, and what the voxel there shows."""


@dataclass(frozen=True)
class Cohort:
    headers: np.ndarray
    names: list[str]
    labels: np.ndarray
    keys: list[str]
    mean_hu: np.ndarray
    air_hu: np.ndarray
    voxels: np.ndarray
    age_years: np.ndarray


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """One study of each of many patients, written and read again."""
    rng = np.random.default_rng(0)
    numbers, seen = [], set()
    for number in rng.permutation(4 * PATIENTS):
        patient = make_plan(CONFIG, int(number)).patient
        if patient not in seen and len(numbers) < PATIENTS:
            seen.add(patient)
            numbers.append(int(number))
    studies, told = [], []
    for number in numbers:
        study = make_study(CONFIG, number)
        folder = tmp_path_factory.mktemp("study")
        write_study(study, folder)
        told.append(header_features(folder))
        studies.append(summary(study))
    names = sorted(set().union(*told))
    labels = np.array([one["labels"] for one in studies])
    enough = (labels.sum(0) >= LEAST) & (labels.sum(0) <= PATIENTS - LEAST)
    headers = np.array([[one.get(name, 0.0) for name in names] for one in told])
    varies = headers.std(0) > 1e-9
    return Cohort(
        headers=headers[:, varies],
        names=[name for name, kept in zip(names, varies, strict=True) if kept],
        labels=labels[:, enough],
        keys=[key for key, kept in zip(KEYS, enough, strict=True) if kept],
        **{name: np.array([one[name] for one in studies]) for name in ("mean_hu", "air_hu", "voxels", "age_years")},
    )


def summary(study):
    hu = study.hu.astype(np.float32)
    corner = np.concatenate([hu[:, :8, :8].ravel(), hu[:, :8, -8:].ravel()])
    geometry = study.geometry
    stack = Stack(
        hu=study.hu,
        origins_mm=geometry.positions_mm,
        row_direction=np.array(geometry.row_cosine),
        column_direction=np.array(geometry.column_cosine),
        pixel_mm=(geometry.pixel_mm, geometry.pixel_mm),
    )
    return {
        "labels": [study.labels[key] for key in KEYS],
        "mean_hu": [hu.mean(), hu[(hu > -150) & (hu < 150)].mean(), *hu[[len(hu) // 3, len(hu) // 2]].mean((1, 2))],
        "air_hu": [corner.std(), corner.mean(), np.abs(np.diff(corner)).mean(), np.percentile(corner, 99)],
        "voxels": resample(stack, GRID).hu.ravel(),
        "age_years": study.age_years,
    }


def header_features(folder):
    """Numbers about a study's files: how many there are, and the elements of some headers of every series."""
    files = sorted(folder.iterdir())
    series = {}
    for path in files:
        if path.suffix != ".txt":
            uid = pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True).SeriesInstanceUID
            series.setdefault(uid, []).append(path)
    counts = [len(paths) for paths in series.values()]
    found = {
        "files": len(files), "images": sum(counts), "other files": len(files) - sum(counts), "series": len(counts),
        "longest series": max(counts), "bytes": float(sum(path.stat().st_size for path in files)),
        "suffix": float(any(path.suffix == ".dcm" for path in files)),
    }  # fmt: skip
    values = {}
    for paths in series.values():
        for path in paths[:2]:
            for element in pydicom.dcmread(path, stop_before_pixels=True):
                if element.keyword not in INFORMATIVE and element.VR not in ("UI", "SQ", "OB", "OW"):
                    parts = element.value if element.VM > 1 else [element.value]
                    for place, value in enumerate(parts):
                        values.setdefault(f"{element.keyword} {place}", []).append(value)
    for name, held in values.items():
        found |= numbers_of(name, held)
    return found


def numbers_of(name, values):
    try:
        held = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        return {f"{name} {value}": float(np.mean([one == value for one in values])) for value in set(values)}
    return {f"{name} least": held.min(), f"{name} most": held.max()}


def aucs(scores, labels):
    """AUC of each column of scores for the same column of labels."""
    ranks = stats.rankdata(scores, axis=0)
    positive = labels.sum(0)
    return ((ranks * labels).sum(0) - positive * (positive + 1) / 2) / (positive * (len(labels) - positive))


def linear_probe(features, labels):
    """Ridge regression of all findings, predicted for the patients left out of each of five parts."""
    scores = np.zeros(labels.shape)
    for train, test in KFold(5, shuffle=True, random_state=0).split(features):
        middle, spread = features[train].mean(0), features[train].std(0) + 1e-9
        x, y = (features[train] - middle) / spread, labels[train] - labels[train].mean(0)
        weights = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ y)
        scores[test] = np.clip((features[test] - middle) / spread, -5, 5) @ weights
    return scores


def forest_probe(features, labels):
    scores = np.zeros(labels.shape)
    for train, test in KFold(3, shuffle=True, random_state=0).split(features):
        forest = ExtraTreesRegressor(60, min_samples_leaf=5, max_features=0.3, random_state=0)
        scores[test] = forest.fit(features[train], labels[train]).predict(features[test])
    return scores


def chance(probe, features, labels, rounds):
    """How far each finding's AUC is above a half, in standard deviations; the same with other patients' features."""
    positive = labels.sum(0)
    spread = np.sqrt((len(labels) + 1) / (12 * positive * (len(labels) - positive)))
    rng = np.random.default_rng(1)
    null = [aucs(probe(rng.permutation(features), labels), labels) for _ in range(rounds)]
    return tuple((auc - 0.5) / spread for auc in (aucs(probe(features, labels), labels), np.stack(null)))


def significant(observed, null, keys):
    """Findings better than chance after Holm's correction, at one in a hundred."""
    p = stats.norm.sf((observed - null.mean()) / null.std())
    order = np.argsort(p)
    passed = p[order] < 0.01 / (len(p) - np.arange(len(p)))
    return {keys[k]: round(float(observed[k]), 1) for k in order[: int(np.argmin(np.append(passed, False)))]}


def assert_chance(observed, null, keys):
    assert not significant(observed, null, keys)
    rounds = null.mean(1)
    assert observed.mean() < rounds.mean() + 3.3 * max(rounds.std(), 0.1)


def test_the_cohort_shows_nearly_all_findings_and_its_headers_vary(cohort):
    assert len(cohort.keys) > 60
    assert len(cohort.names) > 12


@pytest.mark.parametrize(("probe", "rounds"), [(linear_probe, 20), (forest_probe, 8)])
def test_headers_and_files_tell_of_no_finding(cohort, probe, rounds):
    assert_chance(*chance(probe, cohort.headers, cohort.labels, rounds), cohort.keys)


def test_the_probe_finds_a_leak_where_there_is_one(cohort):
    leaking = cohort.headers.copy()
    told = cohort.labels[:, 5] == 1
    leaking[told, 0] += 2 * cohort.headers[:, 0].std()
    assert cohort.keys[5] in significant(*chance(linear_probe, leaking, cohort.labels, 8), cohort.keys)


def test_the_probe_finds_that_age_tells_of_trauma(cohort):
    known = significant(*chance(linear_probe, cohort.age_years[:, None], cohort.labels, 20), cohort.keys)
    assert known


def test_noise_of_the_air_tells_of_no_finding(cohort):
    assert_chance(*chance(linear_probe, cohort.air_hu, cohort.labels, 30), cohort.keys)


def test_mean_intensity_tells_of_no_finding(cohort):
    """Neither the mean of the whole volume nor that of a slice, nor that of soft tissue less what age alone tells."""
    age = np.vander(cohort.age_years / 50, 3)
    means = cohort.mean_hu - age @ np.linalg.lstsq(age, cohort.mean_hu, rcond=None)[0]
    for feature in means.T:
        auc = aucs(np.repeat(feature[:, None], len(cohort.keys), 1), cohort.labels)
        folded = 0.5 + np.abs(auc - 0.5)
        # By chance alone 25 studies of 220 have a folded AUC of 0.546 on average.
        assert folded.mean() < 0.58
        assert (folded > 0.72).sum() <= 2, dict(zip(cohort.keys, auc.round(2), strict=True))


def test_no_fixed_voxel_tells_of_a_finding(cohort):
    """The voxel that tells most in one half of the patients is no detector in the other half."""
    half = PATIENTS // 2
    first, second = cohort.voxels[:half], cohort.voxels[half:]
    varies = first.std(0) > 3
    ranks = stats.rankdata(first[:, varies], axis=0)
    told = {}
    for place, key in enumerate(cohort.keys):
        label = cohort.labels[:half, place]
        positive = label.sum()
        if 8 <= positive <= half - 8 and cohort.labels[half:, place].sum() >= 8:
            auc = (label @ ranks - positive * (positive + 1) / 2) / (positive * (half - positive))
            best = int(np.argmax(np.abs(auc - 0.5)))
            sign = 1 if auc[best] > 0.5 else -1
            score = sign * second[:, varies][:, best].astype(float)
            told[key] = float(aucs(score[:, None], cohort.labels[half:, [place]])[0])
    assert np.mean(list(told.values())) < 0.66
    assert not {key: round(auc, 2) for key, auc in told.items() if auc > 0.8 and key not in TOLD_BY_PLACE}
