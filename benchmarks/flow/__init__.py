"""Figures of the flow on Kafka: events per second and core, latency, restore, scaling; on a broker of their own."""
