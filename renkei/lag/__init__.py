"""Consumer lag as operators ask for it: what waits, for how long, whether it drains, and a verdict on the consumer.

``window`` and ``burrow`` are pure; ``watch`` looks and remembers; ``table`` shows; ``exporter`` measures for
Prometheus. Only the front door comes in here.
"""
