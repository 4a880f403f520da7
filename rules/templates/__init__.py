"""Texts that authors write with values in them: inline ``{{ }}`` in workflow files, and mail template files.

Both are pure, know the same filters, and reach nothing but the fields, steps and names that they are given.
"""

from rules.templates.errors import TemplateError
from rules.templates.files import Rendered, Template, compile_template
from rules.templates.inline import Expression, Text, compile_text

__all__ = ["Expression", "Rendered", "Template", "TemplateError", "Text", "compile_template", "compile_text"]
