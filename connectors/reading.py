"""Reading records as they are now (the operation ``read``, D-36): one outcome per command, matched by record id."""

from collections.abc import Callable, Iterable, Sequence

from connectors.answers import text, uncertain
from connectors.checks import rejected
from schemas.commands import Applied, Command, Outcome, Rejected
from schemas.values import Image

READ = "read"


def not_found(command: Command) -> Rejected:
    """The CRM says that there is no such record."""
    return rejected(command, "not_found", "the record is not there")


def as_read(
    commands: Sequence[Command], images: Iterable[Image], same: Callable[[str], str] = lambda record_id: record_id
) -> list[Outcome]:
    """The images as outcomes: a record that a whole answer leaves out is not there.

    ``same`` gives all spellings of one id the same form. An answer about records that were not asked for says nothing.
    """
    found = {same(text(image.get("id"))): image for image in images}
    if not found.keys() <= {same(command.record_id) for command in commands}:
        return uncertain(commands, "the answer holds other records than those asked for")
    return [_outcome(command, found.get(same(command.record_id))) for command in commands]


def _outcome(command: Command, image: Image | None) -> Outcome:
    if image is None:
        return not_found(command)
    return Applied(command_id=command.id, record_id=command.record_id, fields=image)
