"""The hands: they watch CRMs for changes (capture) and apply commands to them (apply), once each.

Lives here: the extension point (``base``), transport, authentication, limits, the worker with its effect ledger, and
one package per CRM. Imports only ``schemas``; only ``renkei`` may come in.
"""
