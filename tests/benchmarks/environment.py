"""The environment of the functions, as Lambda gives it to them, with dummy credentials.

Nothing of `functions` is imported here: whoever measures says which tree of them.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

REGION: Final = "eu-central-1"
IMAGES: Final = "images-bucket"
_ARN: Final = f"arn:aws:{{}}:{REGION}:123456789012:{{}}"
_NOWHERE: Final = "/nonexistent"

#: Of all functions together: each reads its own.
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": _NOWHERE,
    "AWS_SHARED_CREDENTIALS_FILE": _NOWHERE,
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "measured",
    "POWERTOOLS_METRICS_NAMESPACE": "FaceMatching",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "IMAGES_BUCKET": IMAGES,
    "IMAGE_PREFIX": "images/",
    "OUTPUT_BUCKET": "output-bucket",
    "STATE_MACHINE_ARN": _ARN.format("states", "stateMachine:FaceMatching"),
    "REMOVAL_STATE_MACHINE_ARN": _ARN.format("states", "stateMachine:FaceMatching-removal"),
    "STARTS_PER_SECOND": "auto",
    "PACE_TABLE": "pace-table",
    "MAX_FACES": "1",
    "SEVERAL_FACES": "largest",
    "COLLECTION_ID": "FaceMatching-collection",
    "QUALITY_FILTER": "AUTO",
    "NAMES_FROM": r"(?:^|/)(?P<name>[^/.][^/]*?)(?:_\d+)?(?:\.[^./]*)?\Z",
    "SEARCH_THRESHOLD": "80",
    "MAX_MATCHES": "100",
    "NOTIFY_THRESHOLD_PARAMETER": "/FaceMatching/notify-threshold",
    "MATCHES_TOPIC_ARN": _ARN.format("sns", "FaceMatching-matches"),
}


def peak_mib() -> float:
    """Of this process since its program began; elsewhere than on Linux, since it was forked."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
