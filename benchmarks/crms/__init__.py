"""Figures of commands on their way to a CRM: calls, storms, lanes, lost answers. The CRMs are those of the sandbox.

What is told is counted by the sandbox, which knows nothing of the worker: its calls, its ledger of effects.
"""
