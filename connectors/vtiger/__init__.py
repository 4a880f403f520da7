"""Vtiger CRM (webservice.php, open source edition): applying commands, watching modules, reading metadata.

Only ``connectors.registry`` comes in, by kind. Facts are from the behaviour of 8.3 and 8.4.
"""

from connectors.vtiger.apply import VtigerConnector

__all__ = ["VtigerConnector"]
