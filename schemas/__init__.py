"""The nouns: everything that crosses a process boundary, and how it is written down.

Lives here: values, change events, commands, outcomes, decisions, stage messages, tab metadata, topics, codecs.
Everyone may import it; it imports nobody.
"""
