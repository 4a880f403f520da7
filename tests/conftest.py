"""For all tests: a property says what is true, not how quickly a busy machine finds out."""

from hypothesis import settings

settings.register_profile("renkei", deadline=None)
settings.load_profile("renkei")
