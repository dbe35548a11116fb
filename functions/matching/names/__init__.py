"""How two names relate: one name, two spellings, a part in common, or nothing.

docs/names.md says how this is decided, and how often it is wrong.
"""

from functions.matching.names.relations import relation
from functions.matching.normal import normalised
from functions.matching.relations import Relation

__all__ = ["Relation", "normalised", "relation"]
