"""Only two rooms of the command line make clients of AWS."""

from __future__ import annotations

import ast

from workflow.project import PROJECT

PACKAGE = PROJECT / "facematch"
#: The rooms that ask AWS, or the local cloud in its place.
ASKING = {"stack", "local"}
MAKERS = {"make_client", "clients_on_aws", "local_client"}


def test_no_module_outside_the_stack_and_the_local_cloud_makes_a_client() -> None:
    """import-linter sees imports of boto3, but no client that a deployment makes."""
    made = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in ASKING
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in MAKERS)
        or (isinstance(node, ast.alias) and node.name in MAKERS)
        or (isinstance(node, ast.keyword) and node.arg in MAKERS)
    ]
    assert made == [], "move the question to facematch/stack"
