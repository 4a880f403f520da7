"""Zoho CRM (REST API v8): applying commands, watching modules, reading metadata.

Only ``connectors.registry`` comes in, by kind. Facts are from the vendor's API pages, version 8.
"""

from connectors.zoho.apply import ZohoConnector

__all__ = ["ZohoConnector"]
