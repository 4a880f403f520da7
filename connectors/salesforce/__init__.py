"""Salesforce (REST): applying commands, watching objects, reading metadata.

Only ``connectors.registry`` comes in, by kind. Facts are from the vendor's REST and object reference pages.
"""

from connectors.salesforce.apply import SalesforceConnector

__all__ = ["SalesforceConnector"]
