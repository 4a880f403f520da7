"""The actions of a rule: one small model per verb of the workflow file (D-49).

``base.py`` says what an action is; a stranger's package adds one by entry point (docs/extending.md).
"""
