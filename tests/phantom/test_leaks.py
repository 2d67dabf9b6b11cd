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

PATIENTS = 300
CONFIG = CohortConfig(seed=41, matrix_px=96, rarest=0.08)
GRID = Grid(name="coarse", shape=(24, 56, 56), spacing_mm=(6.0, 4.0, 4.0))
LEAST = 12
"""Studies that show a finding below which no probe of it says anything."""
INFORMATIVE = {
    "PatientAge", "PatientBirthDate", "PatientSex", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
    "PatientID", "PatientName", "PixelData", "AccessionNumber",
}  # fmt: skip
"""Of age, sex and an earlier study a radiologist knows, and they tell something; names and pixels are no headers."""
CHANGES_THE_MEAN = {
    "cerebral_atrophy": "fluid takes the place of brain all over the head",
    "cerebellar_atrophy": "comes with atrophy of the whole brain",
    "small_vessel_ischemic_disease": "comes with age and with atrophy",
    "hydrocephalus": "fluid takes the place of brain",
    "normal_pressure_pattern": "fluid takes the place of brain",
    "craniectomy_or_burr_hole": "bone is missing",
    "decompressive_craniectomy": "bone is missing",
}
"""Findings of which the mean intensity of the volume must tell something, and why."""


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
        "mean_hu": [hu.mean(), np.clip(hu, -100, 120)[(hu > -150) & (hu < 150)].mean(), hu.mean((1, 2)).std()],
        "air_hu": [corner.std(), corner.mean(), np.abs(np.diff(corner)).mean(), np.percentile(corner, 99)],
        "voxels": resample(stack, GRID).hu.ravel(),
        "age_years": study.age_years,
    }


def header_features(folder):
    """Numbers about a study's files: every element of their headers, over the files, and the files themselves."""
    files = sorted(folder.iterdir())
    images = [pydicom.dcmread(path, stop_before_pixels=True) for path in files if path.suffix != ".txt"]
    found = {
        "files": len(files), "images": len(images), "other files": len(files) - len(images),
        "series": len({image.SeriesInstanceUID for image in images}),
        "bytes": float(sum(path.stat().st_size for path in files)), "suffix": float(any(p.suffix for p in files)),
    }  # fmt: skip
    numbers = {}
    for image in images:
        for element in image:
            if element.keyword not in INFORMATIVE and element.VR not in ("UI", "SQ", "OB", "OW"):
                values = element.value if element.VM > 1 else [element.value]
                for place, value in enumerate(values):
                    numbers.setdefault(f"{element.keyword}[{place}]", []).append(value)
    for name, values in numbers.items():
        try:
            held = np.array([float(value) for value in values])
        except (TypeError, ValueError):
            found |= {f"{name}={value}": float(np.mean([v == value for v in values])) for value in set(values)}
        else:
            found |= {f"{name} mean": held.mean(), f"{name} spread": held.std(), f"{name} count": float(len(held))}
    return found


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
    """AUC by finding, and the same with the features of other patients, several times over."""
    rng = np.random.default_rng(1)
    observed = aucs(probe(features, labels), labels)
    return observed, np.stack([aucs(probe(rng.permutation(features), labels), labels) for _ in range(rounds)])


def significant(observed, null, keys):
    """Findings better than chance after Holm's correction, a normal distribution fitted to each finding's chance."""
    p = stats.norm.sf((observed - null.mean(0)) / null.std(0))
    order = np.argsort(p)
    passed = p[order] < 0.01 / (len(p) - np.arange(len(p)))
    return {keys[k]: round(float(observed[k]), 2) for k in order[: int(np.argmin(np.append(passed, False)))]}


def assert_chance(observed, null, keys):
    assert not significant(observed, null, keys)
    spread = null.mean(1)
    assert observed.mean() < spread.mean() + 3.3 * max(spread.std(), 0.003)


def test_the_cohort_shows_nearly_all_findings_and_its_headers_vary(cohort):
    assert len(cohort.keys) > 60
    assert len(cohort.names) > 12


@pytest.mark.parametrize(("probe", "rounds"), [(linear_probe, 60), (forest_probe, 10)])
def test_headers_and_files_tell_of_no_finding(cohort, probe, rounds):
    assert_chance(*chance(probe, cohort.headers, cohort.labels, rounds), cohort.keys)


def test_the_probe_finds_a_leak_where_there_is_one(cohort):
    leaking = cohort.headers.copy()
    told = cohort.labels[:, 5] == 1
    leaking[told, 0] += 2 * cohort.headers[:, 0].std()
    assert cohort.keys[5] in significant(*chance(linear_probe, leaking, cohort.labels, 20), cohort.keys)


def test_age_tells_of_what_comes_with_age(cohort):
    age = cohort.age_years[:, None]
    known = significant(*chance(linear_probe, age, cohort.labels, 60), cohort.keys)
    assert "cerebral_atrophy" in known


def test_noise_of_the_air_tells_of_no_finding(cohort):
    assert_chance(*chance(linear_probe, cohort.air_hu, cohort.labels, 60), cohort.keys)


def test_mean_intensity_tells_little(cohort):
    """Large lesions change the mean by their nature; by how much is bounded, and where it is known it is named."""
    for feature in cohort.mean_hu.T:
        folded = 0.5 + np.abs(aucs(np.repeat(feature[:, None], len(cohort.keys), 1), cohort.labels) - 0.5)
        assert folded.mean() < 0.58
        told = dict(zip(cohort.keys, folded.round(2), strict=True))
        assert not {key: auc for key, auc in told.items() if auc > 0.72 and key not in CHANGES_THE_MEAN}


FIXED = {
    "cerebral_atrophy": "the Sylvian fissures widen",
    "basal_ganglia_calcification": "lies in the pallidum",
    "colloid_cyst": "lies at the foramen of Monro",
    "hydrocephalus": "the ventricles widen",
    "pituitary_or_sellar_mass": "lies in the sella",
    "pineal_region_mass": "lies beside the pineal gland",
    "intraventricular_hemorrhage": "lies in the ventricles",
}
"""Findings that lie in one place, and where."""


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
    assert np.mean(list(told.values())) < 0.60
    assert not {key: round(auc, 2) for key, auc in told.items() if auc > 0.8 and key not in FIXED}
