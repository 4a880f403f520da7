"""How Salesforce says no: an array of errors for a request, or errors in the row of a collection."""

from typing import Any


class RefusedError(Exception):
    """One error; in a single-record answer its key is ``errorCode``, in a collection's row ``statusCode``."""

    def __init__(self, status: int, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.fields = list(fields)

    def body(self) -> list[dict[str, Any]]:
        """The request-level form."""
        fields = {"fields": self.fields} if self.fields else {}
        return [{"message": self.message, "errorCode": self.code, **fields}]

    def row(self) -> dict[str, Any]:
        """The form in a collection's row."""
        error = {"statusCode": self.code, "message": self.message, "fields": self.fields}
        return {"success": False, "errors": [error]}


def not_found() -> RefusedError:
    """No such resource or record."""
    return RefusedError(404, "NOT_FOUND", "The requested resource does not exist")


def no_column(name: str, sobject: str) -> RefusedError:
    """A field that the object does not have."""
    return RefusedError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}", (name,))
