"""What the seller's rules mean, worked out by SQL over the CSV files as they are: nothing of Renkei takes part."""

import csv
import os
import sqlite3
from pathlib import Path
from typing import Any
from weakref import finalize

SHARED = Path(os.environ.get("RENKEI_SHARED", Path(__file__).parents[3] / "shared"))
SOURCE = SHARED / "data" / "crm-sales"
TABLES = ("accounts", "products", "sales_pipeline", "sales_teams")
MISSING = "" if (SOURCE / "sales_pipeline.csv").is_file() else f"no real input in {SOURCE}: name it by RENKEI_SHARED"

DEALS = """
CREATE VIEW deals AS
SELECT opportunity_id, sales_agent, product, account, deal_stage, CAST(close_value AS INTEGER) AS value,
       iso(engage_date) AS engaged, iso(close_date) AS closed,
       (SELECT max(max(iso(engage_date)), max(iso(close_date))) FROM sales_pipeline) AS last_day
FROM sales_pipeline
"""

ONBOARDED = """
SELECT d.opportunity_id, t.manager, a.account || ': ' || d.product, d.value, d.closed
FROM deals d JOIN accounts a ON a.account = d.account JOIN sales_teams t ON t.sales_agent = d.sales_agent
WHERE d.deal_stage = 'Won' AND d.value >= 4000 AND a.sector = 'technolgy' AND t.regional_office = 'Central'
"""
"""Deals whose win starts an onboarding: id, the agent's manager, the project's name and value, the day."""

MAILED = f"""
SELECT d.opportunity_id, d.sales_agent, d.closed, d.value, CAST(p.sales_price AS INTEGER), a.account, a.employees
FROM deals d JOIN accounts a ON a.account = d.account LEFT JOIN products p ON p.product = d.product
WHERE d.opportunity_id IN (SELECT opportunity_id FROM ({ONBOARDED}))
"""
"""What the mail about each onboarding tells."""

REMINDED = """
SELECT opportunity_id, sales_agent, date(engaged, '+90 days') FROM deals
WHERE engaged <> '' AND date(engaged, '+90 days') < CASE WHEN closed = '' THEN last_day ELSE closed END
"""
"""Deals that were still open after 90 days: not closed on that day or before, and history went on past it."""

CLOSED_IN_TIME = """
SELECT opportunity_id FROM deals WHERE closed <> '' AND closed <= date(engaged, '+90 days')
"""
STILL_PENDING = """
SELECT opportunity_id FROM deals WHERE engaged <> '' AND closed = '' AND date(engaged, '+90 days') >= last_day
"""

KEY_ACCOUNTS = """
SELECT account, min(closed) FROM (
    SELECT account, closed, sum(value) OVER (PARTITION BY account ORDER BY closed) AS bought
    FROM deals WHERE deal_stage = 'Won')
WHERE bought >= 150000 GROUP BY account
"""
"""Accounts and the day on which what they had bought reached 150,000."""

LOOSE = """
SELECT 'sales:Products/' || product FROM products WHERE product NOT IN (SELECT product FROM sales_pipeline)
UNION ALL SELECT 'people:Agents/' || sales_agent FROM sales_teams
WHERE sales_agent NOT IN (SELECT sales_agent FROM sales_pipeline)
"""
"""Records that no deal names. Accounts have a workflow of their own, so they hang on themselves."""

DANGLING = """
SELECT opportunity_id, 'account', 'empty' FROM sales_pipeline WHERE account = ''
UNION ALL SELECT opportunity_id, 'product', 'names nobody' FROM sales_pipeline
WHERE product NOT IN (SELECT product FROM products)
"""


class Seller:
    """The CSV files as tables of text, all deals or the first ``most``."""

    def __init__(self, most: int | None = None) -> None:
        self._database = sqlite3.connect(":memory:")
        finalize(self, self._database.close)
        self._database.create_function("iso", 1, _iso, deterministic=True)
        for name in TABLES:
            with (SOURCE / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
                header, *rows = csv.reader(stream)
            marks = ",".join("?" * len(header))
            self._database.execute(f"CREATE TABLE {name} ({','.join(header)})")
            kept = rows[:most] if name == "sales_pipeline" else rows
            self._database.executemany(f"INSERT INTO {name} VALUES ({marks})", kept)
        self._database.execute(DEALS)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """The rows of a question, sorted."""
        return sorted(self._database.execute(question).fetchall())

    def names(self, question: str) -> list[str]:
        """The first column of a question, sorted."""
        return [row[0] for row in self.ask(question)]


def _iso(cell: str) -> str:
    if not cell:
        return ""
    month, day, year = cell.split("/")
    return f"{year}-{int(month):02}-{int(day):02}"
