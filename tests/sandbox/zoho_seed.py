"""The journey's Zoho with what only some stories need: leads, a blueprint on demos, notes that carry our key."""

from typing import Any

from sandbox.seed import JOURNEY, BlueprintSeed, CrmSeed, Seed, TransitionSeed, load_seed
from schemas.metadata import Field, Tab

MIRAI = "5725767000000050001"
TAKAHASHI = "5725767000000060001"
SUZUKI = "5725767000000010002"
ROBOT = "5725767000000010008"

KEY = Field(name="Renkei_Key", type="text", unique=True, max_length=255, label="Renkei key")
LEADS = Tab(
    name="Leads",
    label="Leads",
    fields={
        field.name: field
        for field in (
            Field(name="Last_Name", type="text", mandatory=True, max_length=80),
            Field(name="First_Name", type="text", max_length=40),
            Field(name="Company", type="text", max_length=200),
            Field(name="Email", type="text", max_length=100),
            Field(name="Owner", type="user"),
            KEY,
        )
    },
)
DEMO_STATES = BlueprintSeed(
    field="Status",
    transitions=(
        TransitionSeed(name="Schedule", at=("Requested",), to="Scheduled"),
        TransitionSeed(name="Complete", at=("Scheduled",), to="Completed", needs=("Name",)),
    ),
)


def journey(**more: Any) -> Seed:
    """The seed; ``more`` replaces parts of Zoho's."""
    seed = load_seed(JOURNEY)
    tabs = {**seed.zoho.tabs, "Leads": LEADS}
    notes = tabs["Notes"]
    tabs["Notes"] = notes.model_copy(update={"fields": {**notes.fields, KEY.name: KEY}})
    zoho: CrmSeed = seed.zoho.model_copy(update={"tabs": tabs, "blueprints": {"Demos": DEMO_STATES}, **more})
    return seed.model_copy(update={"zoho": zoho})
