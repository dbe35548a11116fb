"""`DeepFace.represent` with dlib's network, and deepface's own distance and threshold.

The detector is the third argument: `opencv`, which is deepface's default, or `dlib`. The weights
are the files that deepface would download; face_recognition_models carries them, and they are
laid where deepface looks.
"""

from __future__ import annotations

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


def main() -> None:
    detector = sys.argv[3]
    with tempfile.TemporaryDirectory(prefix="deepface-") as home:
        weights = Path(home) / ".deepface" / "weights"
        weights.mkdir(parents=True)
        for name, path in WEIGHTS.items():
            (weights / name).symlink_to(path)
        os.environ.update(
            DEEPFACE_HOME=home, DEEPFACE_BACKEND_ENGINE="onnx", DEEPFACE_LOG_LEVEL="40"
        )
        # They read the environment at import.
        from deepface import DeepFace  # noqa: PLC0415
        from deepface.modules import verification  # noqa: PLC0415
        from deepface.modules.exceptions import FaceNotDetected  # noqa: PLC0415

        def embed(photograph: str) -> Any:
            try:
                faces = DeepFace.represent(
                    photograph, model_name=MODEL, detector_backend=detector, max_faces=1
                )
            except FaceNotDetected:
                return None
            return faces[0]["embedding"]

        def distances(known: list[Any], embedding: Any) -> Any:
            return verification.find_distance(known, [embedding], METRIC)[0]

        clocked.run(embed, distances, threshold=verification.find_threshold(MODEL, METRIC))


if __name__ == "__main__":
    main()
