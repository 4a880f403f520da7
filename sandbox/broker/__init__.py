"""A real Apache Kafka without containers: fetched by Maven, checked, started on loopback ports, and broken at will.

``Cluster`` (cluster.py) is for tests and benchmarks, ``python -m sandbox.broker`` for people and make.
Needs Java 17 or newer; Maven once, to fetch. Knows nothing of Renkei.
"""
