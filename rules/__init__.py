"""The pure core: criteria, triggers, actions, the workflow book, planning of fires, calendars and timers.

No I/O, no clock, no randomness: everything it knows is handed in. ``streams`` and ``renkei`` call it; it reads only
``schemas``.
"""
