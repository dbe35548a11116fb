"""A result that is empty because no photograph was uploaded yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facematch.stack.errors import if_allowed
from facematch.stack.objects import Bucket
from functions.matching.keys import is_folder_marker

if TYPE_CHECKING:
    from facematch.stack.deployment import Deployment


def no_photographs(deployment: Deployment) -> str | None:
    """Tell that the images bucket holds no photograph, and what to do.

    None if it holds one, and if the caller may not list it.
    """

    def holds_one() -> bool:
        images = Bucket.images(deployment).current(deployment.image_prefix)
        return any(not is_folder_marker(image.key, image.size) for image in images)

    if if_allowed(holds_one) is not False:
        return None
    place = (
        f"The local cloud in {deployment.kept_in}"
        if deployment.local
        else f"The bucket {deployment.images_bucket} of the stack {deployment.stack_name}"
    )
    below = f" below {deployment.image_prefix}" if deployment.image_prefix else ""
    return (
        f"{place} holds no photograph{below} yet. Upload some:\n"
        f"  {deployment.command('upload', 'FOLDER', '--wait')}"
    )
