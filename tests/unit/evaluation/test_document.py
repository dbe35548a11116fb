"""docs/accuracy.md shows what was measured, and nobody's name or folder."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np

from facematch.evaluation.measure import THRESHOLDS
from facematch.evaluation.scores import Cosines, Labels, Pairs, histograms, score_of, tally
from facematch.local.rekognition.faces import similarity
from tests.benchmarks.accuracy import CURVE, DOCUMENT, MEASURED, tables, written

FIGURES = json.loads(MEASURED.read_text())
SAMPLES_CURVE = json.loads(CURVE.read_text())


def test_the_tables_are_made_of_the_figures_that_are_kept() -> None:
    text = DOCUMENT.read_text()
    assert written(text, tables(FIGURES, SAMPLES_CURVE)) == text


def test_the_figures_are_of_the_data_set_by_its_name() -> None:
    assert FIGURES["conditions"]["data_set"] == "LFW sample"
    assert "people" not in FIGURES
    assert FIGURES["groups"] is None
    kept = MEASURED.read_text() + CURVE.read_text()
    assert not any(mark in kept for mark in ("/home", "/tmp", "/work", ".jpg"))


def test_the_curve_is_of_the_same_sample() -> None:
    assert SAMPLES_CURVE["data_set"].startswith(f"{FIGURES['conditions']['data_set']}: ")
    assert SAMPLES_CURVE["people"] == FIGURES["sample"]["people"]
    pairs = FIGURES["sample"]["different_person_pairs"]
    assert SAMPLES_CURVE["pairs_of_different_people"] == pairs


def test_the_pairs_of_many_faces_are_counted_without_keeping_them() -> None:
    chance = np.random.default_rng(1)
    count = 3500  # 6 million pairs: 24 MB if only their scores were kept
    persons = np.repeat(np.arange(count // 2), 2)
    vectors = chance.normal(size=(count // 2, 128))[persons] + chance.normal(size=(count, 128)) / 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    comparison = Cosines(vectors.astype(np.float32), similarity)
    labels = Labels(persons, persons, np.arange(count))
    scores = [score_of(threshold, similarity, comparison.limits) for threshold in THRESHOLDS]

    tracemalloc.start()
    pairs = Pairs(comparison, labels)
    found, counted = histograms(pairs, comparison.limits), tally(pairs, scores)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert int(found.different.sum()) == counted.different == count * (count - 2) // 2
    assert counted.false[0] > 5_000

    assert peak < 15e6
