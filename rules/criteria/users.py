"""What is known of a user: team, role, manager, activity, and whose record it is."""

from collections.abc import Callable
from typing import Final, TypeAlias

from rules.criteria import tree as t
from rules.criteria.closures import Read, Test, negative, value_of, verdict_of
from rules.criteria.comparing import equal, single
from rules.criteria.conditions import both
from rules.criteria.names import Context
from rules.criteria.scope import Scope, Unknown, Verdict
from schemas.metadata import ConnectionMetadata, User
from schemas.values import Value, fold, is_empty

_Question: TypeAlias = Callable[[User, ConnectionMetadata, Value], Verdict]

_MOST_LEVELS: Final = 50
"""Managers above a user; a ring of managers ends here too."""


@verdict_of.register(t.UserTest)
def _(node: t.UserTest, context: Context) -> Test:
    """Unknown while the connection's users, teams or roles are not known; false of a user that it does not know."""
    if node.relation == "owner of" and node.who is not None:
        calendar = context.calendar
        test = both(node.left, node.who, context, lambda one, other: equal(one, other, calendar))
    else:
        test = _known_user(node, context)
    return negative(test, node) if node.negated else test


def _known_user(node: t.UserTest, context: Context) -> Test:
    assert isinstance(node.left, t.Field | t.Before | t.FirstOf)
    alias, value, asked = node.left.alias, value_of(node.left, context), _question(node)
    who: Read = value_of(node.who, context) if node.who is not None else lambda scope: None

    def test(scope: Scope) -> Verdict:
        found, other = value(scope), who(scope)
        if isinstance(found, Unknown) or isinstance(other, Unknown):
            return None
        if is_empty(found):
            return False
        known = scope.metadata(alias)
        if known is None:
            return None
        user = user_named(found, known)
        return False if user is None else asked(user, known, other)

    return test


def _question(node: t.UserTest) -> _Question:
    name = fold(node.name)
    if node.relation == "in team":
        return lambda user, known, other: _in_team(user, known, name)
    if node.relation == "in role":
        return lambda user, known, other: _in_role(user, known, name)
    if node.relation == "reports to":
        return _reports_to
    return lambda user, known, other: user.active


def _in_team(user: User, known: ConnectionMetadata, name: str) -> Verdict:
    """Unknown where the CRM names its teams and not who is in them, as Vtiger does: unknown is not false (D-04)."""
    if known.teams and not any(team.members for team in known.teams):
        return None
    return any(user.id in team.members for team in known.teams if name in (fold(team.name), fold(team.id)))


def _in_role(user: User, known: ConnectionMetadata, name: str) -> Verdict:
    """Unknown where the login may not read anybody's role."""
    return name in map(fold, user.roles) if any(one.roles for one in known.users) else None


def user_named(value: Value, known: ConnectionMetadata) -> User | None:
    """The user with this id, mail address or name."""
    wanted = single(value)
    if not isinstance(wanted, str | int):
        return None
    by_id = next((user for user in known.users if user.id == str(wanted)), None)
    name = fold(str(wanted))
    return by_id or next((user for user in known.users if name in (fold(user.email), fold(user.name))), None)


def _reports_to(user: User, known: ConnectionMetadata, other: Value) -> bool:
    """Whether the other is the user's manager, or the manager's manager, and so on."""
    boss = None if is_empty(other) else user_named(other, known)
    by_id = {one.id: one for one in known.users}
    for _ in range(_MOST_LEVELS):
        above = by_id.get(user.manager)
        if boss is None or above is None:
            return False
        if above.id == boss.id:
            return True
        user = above
    return False
