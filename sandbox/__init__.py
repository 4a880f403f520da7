"""The practice range: emulators of Zoho CRM, Salesforce and Vtiger and a mail sink, over real HTTP and SMTP.

Lives here: one in-memory store per CRM with a ledger of every effect, faults on order, seeds, three dialects. The demo,
tests and connector authors come in through ``sandbox.server.Sandbox``; it imports only ``schemas``.
"""
