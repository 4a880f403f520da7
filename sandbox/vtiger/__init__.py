"""Vtiger's webservice.php (open source edition) as the practice range speaks it, after recordings of 8.4.0.

Only ``sandbox.server`` comes in here. ``sync`` works as with its missing parameter repaired.
"""
