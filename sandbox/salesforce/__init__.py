"""Salesforce's REST API as the practice range speaks it: tokens, rows, collections, SOQL, describe.

Only ``sandbox.server`` comes in here. Facts marked as unconfirmed in the fact sheet are kept simple.
"""
