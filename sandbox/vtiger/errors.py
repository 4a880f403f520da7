"""How Vtiger says no: HTTP 200 with a code, or an empty 500 where its PHP breaks down."""


class RefusedError(Exception):
    """``{"success": false, "error": {…}}``; the code of a duplicate is the number 0."""

    def __init__(self, code: str | int, message: str) -> None:
        super().__init__(code)
        self.message = message
        self.body = {"success": False, "error": {"message": message, "code": code}}


class BrokenDownError(Exception):
    """Status 500 with an empty body: a PHP error that Vtiger does not catch."""


def denied(what: str = "") -> RefusedError:
    """The answer to unknown types, missing records and missing parameters alike."""
    return RefusedError(
        "ACCESS_DENIED", "Permission to perform the operation is denied" + (f" for {what}" if what else "")
    )


def bad_id() -> RefusedError:
    """An id that does not fit its record, or is none."""
    return RefusedError("INVALID_ID_ATTRIBUTE", "Id specified is incorrect")


def no_value(name: str) -> RefusedError:
    """A mandatory field is empty."""
    return RefusedError("MANDATORY_FIELDS_MISSING", f"{name} does not have a value")
