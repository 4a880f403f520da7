"""The two-tab foreign-key join on a real broker: ours, Faust, Quix Streams and Kafka Streams (see README.md).

Only the standard library here and in ``task``, ``partitions``: peers run in environments of their own.
"""
