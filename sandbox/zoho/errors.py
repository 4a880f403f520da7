"""How Zoho says no: to a whole request, or to one row of it."""

from typing import Any


class RefusedError(Exception):
    """A request-level error: a bare object and a status."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"code": code, "details": details or {}, "message": message, "status": "error"}


class RowRefusedError(Exception):
    """An error of one row; the other rows are not touched by it."""

    def __init__(self, code: str, message: str, details: dict[str, Any]) -> None:
        super().__init__(code)
        self.result: dict[str, Any] = {"code": code, "details": details, "message": message, "status": "error"}

    def as_whole(self) -> RefusedError:
        """The same as the refusal of a request that has no rows."""
        return RefusedError(400, self.result["code"], self.result["message"], self.result["details"])


def invalid_module() -> RefusedError:
    """The module does not exist."""
    return RefusedError(400, "INVALID_MODULE", "the module name given seems to be invalid", {"resource_path_index": 0})


def missing_parameter(name: str) -> RefusedError:
    """A query parameter that must be there is not."""
    return RefusedError(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {"param_name": name})


def invalid_row(name: str, path: str, message: str = "invalid data", **details: Any) -> RowRefusedError:
    """A field's value is not acceptable."""
    return RowRefusedError("INVALID_DATA", message, {**details, "api_name": name, "json_path": path})
