"""`DeepFace.represent` with dlib's network, and deepface's own distance and threshold.

The detector is the fourth argument: `opencv`, which is deepface's default, or `dlib`. The weights
are the files that deepface would download; face_recognition_models carries them, and they are
laid where deepface looks.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import face_recognition_models

from tests.benchmarks.ways import clocked

MODEL, METRIC = "Dlib", "cosine"
WEIGHTS = {
    "dlib_face_recognition_resnet_model_v1.dat": (
        face_recognition_models.face_recognition_model_location()
    ),
    "shape_predictor_5_face_landmarks.dat": (
        face_recognition_models.pose_predictor_five_point_model_location()
    ),
}


def prepare(home: str) -> None:
    """Lay the weights into deepface's home, and import deepface, which reads the environment."""
    weights = Path(home) / ".deepface" / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    for name, path in WEIGHTS.items():
        if not (weights / name).exists():
            (weights / name).symlink_to(path)
    os.environ.update(DEEPFACE_HOME=home, DEEPFACE_BACKEND_ENGINE="onnx", DEEPFACE_LOG_LEVEL="40")
    import deepface.DeepFace  # noqa: F401, PLC0415


def embed(photograph: str) -> Any:
    from deepface import DeepFace  # noqa: PLC0415
    from deepface.modules.exceptions import FaceNotDetected  # noqa: PLC0415

    try:
        faces = DeepFace.represent(
            photograph, model_name=MODEL, detector_backend=sys.argv[4], max_faces=1
        )
    except FaceNotDetected:
        return None
    return faces[0]["embedding"]


def distances(known: list[Any], embedding: Any) -> Any:
    from deepface.modules import verification  # noqa: PLC0415

    return verification.find_distance(known, [embedding], METRIC)[0]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="deepface-") as home:
        ready = functools.partial(prepare, home)
        ready()
        from deepface.modules import verification  # noqa: PLC0415

        clocked.run(ready, embed, distances, verification.find_threshold(MODEL, METRIC))


if __name__ == "__main__":
    main()
