"""Zoho CRM REST v8 as the practice range speaks it: tokens, records, COQL, settings, users.

Only ``sandbox.server`` comes in here. Facts marked as unconfirmed in the fact sheet are kept simple.
"""
