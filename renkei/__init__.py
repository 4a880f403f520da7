"""The front door: commands, settings, wiring. The only package that sees all others; nobody imports it.

``cli.py`` is what a person types; ``folder.py`` reads a project; ``wiring.py`` puts the parts together.
"""
