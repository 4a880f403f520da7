"""The flow: the three stages as pure code, and the thin runtimes that host them.

``stage.py`` says what a stage is; ``records``, ``relations`` and ``journeys`` are the stages; ``embedded.py`` hosts
them. ``renkei`` calls it; it reads ``rules`` and ``schemas`` and never meets ``connectors``.
"""
