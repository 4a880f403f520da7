"""Salesforce record ids: a prefix for the object, a number in base 62, three check characters."""

import re
import string

PREFIXES = {
    "Account": "001", "Contact": "003", "User": "005", "Opportunity": "006", "Lead": "00Q", "Task": "00T",
    "Event": "00U", "Group": "00G", "GroupMember": "011", "Case": "500", "Campaign": "701", "Contract": "800",
    "Product2": "01t", "Topic": "0TO", "TopicAssignment": "0ez", "ContentNote": "069", "ContentDocumentLink": "06A",
    "ProcessInstance": "04g", "ProcessInstanceWorkitem": "04i", "Organization": "00D", "LeadStatus": "01J",
    "UserRole": "00E",
}  # fmt: skip

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHECK = string.ascii_uppercase + "012345"
_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")


def suffix(short: str) -> str:
    """The three check characters of a 15-character id: one for each five, by which of them are capitals."""
    fives = (short[start : start + 5] for start in (0, 5, 10))
    return "".join(_CHECK[sum(1 << place for place, char in enumerate(five) if char.isupper())] for five in fives)


def make_id(prefix: str, number: int) -> str:
    """The 18-character id of a number under a prefix."""
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    short = prefix + "5g00000" + digits.rjust(5, "0")
    return short + suffix(short)


def full_id(text: object) -> str | None:
    """The 18-character form of an id, or none where it is not one (wrong form, wrong check characters)."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        return None
    whole = text[:15] + suffix(text[:15])
    return whole if len(text) == 15 or text == whole else None
