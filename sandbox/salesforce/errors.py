"""How Salesforce says no: an array of errors for a request, or errors in the row of a collection."""

from typing import Any

from fastapi import Request

from sandbox.emulator import json_object


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


async def json_body(request: Request) -> dict[str, Any]:
    """A request's JSON object. Raises RefusedError: JSON_PARSER_ERROR."""
    body = json_object(await request.body())
    if body is None:
        raise RefusedError(400, "JSON_PARSER_ERROR", "The request body is not a JSON object")
    return body


REFUSALS = {
    401: ("INVALID_SESSION_ID", "Session expired or invalid"),
    403: ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    429: ("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
    500: ("UNKNOWN_EXCEPTION", "An unexpected error occurred."),
    503: ("SERVER_UNAVAILABLE", "The server is temporarily unavailable."),
}
"""Error code and message of a status that is about the request as a whole."""
