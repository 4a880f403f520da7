"""The criteria language (semantics C.2): text in, three-valued verdicts out.

``grammar.lark`` says how it is written, ``tree.py`` what it means, ``compile.py`` makes closures of it.
"""
