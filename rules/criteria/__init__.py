"""The criteria language (semantics C.2): text in, three-valued verdicts out.

``grammar.lark`` says how it is written, ``tree.py`` what it means, ``compile.py`` makes closures of it.
The stages, the workflow book and templates come in here; it reads calendars and the nouns only.
"""

from rules.criteria.compile import Criteria, Expression, compile_criteria, compile_expression
from rules.criteria.errors import Caution, CriteriaError, Span
from rules.criteria.explain import Explanation
from rules.criteria.names import AliasContext, Context
from rules.criteria.scope import UNKNOWN, Mark, RelatedRow, Rows, Scope, Unknown, Verdict

__all__ = [
    "UNKNOWN",
    "AliasContext",
    "Caution",
    "Context",
    "Criteria",
    "CriteriaError",
    "Explanation",
    "Expression",
    "Mark",
    "RelatedRow",
    "Rows",
    "Scope",
    "Span",
    "Unknown",
    "Verdict",
    "compile_criteria",
    "compile_expression",
]
