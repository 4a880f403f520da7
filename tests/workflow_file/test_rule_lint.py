"""What the checker sees before publishing: loops, rules that re-arm themselves or overwrite each other."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import Place, Problem
from rules.graph import components, shortest_cycle
from rules.lint import ANY_FIELD, CREATED, RuleNode, Write, lint

DEAL, CONTRACT, PROJECT = "zoho:Deals", "salesforce:Contract", "vtiger:Project"


def rule(name: str, reads: str = "", writes: str = "", tab: str = DEAL, **more: Any) -> RuleNode:
    """A rule over fields of deals: ``rule("a", reads="x y", writes="z")``."""
    return RuleNode(
        name=f"w/{name}",
        tab=tab,
        reads=frozenset((DEAL, field) for field in reads.split()),
        writes=more.pop("effects", tuple(Write(DEAL, field) for field in writes.split())),
        **more,
    )


def only(problems: Iterable[Problem]) -> Problem:
    (problem,) = problems
    return problem


def test_two_rules_that_wake_each_other_are_refused_with_the_chain() -> None:
    """G12: A writes x, B reads x and writes y, A reads y."""
    problem = only(lint([rule("a", reads="y", writes="x"), rule("b", reads="x", writes="y")]))
    assert problem.severity == "error"
    assert problem.problem == (
        "these rules wake each other without end: w/a writes zoho:Deals.x -> w/b writes zoho:Deals.y -> w/a"
    )
    assert "loop: intended" in problem.hint


def test_the_shortest_way_round_is_shown_and_the_rest_is_counted() -> None:
    ring = [rule(str(n), reads=f"f{n}", writes=f"f{(n + 1) % 6}") for n in range(6)]
    problem = only(lint([*ring, rule("short", reads="f1", writes="f0")]).errors)
    assert problem.problem == (
        "these rules wake each other without end: w/0 writes zoho:Deals.f1 -> "
        "w/short writes zoho:Deals.f0 -> w/0 (5 more rules hang on this loop)"
    )


def test_a_loop_through_three_crms_is_found() -> None:
    rules = [
        RuleNode("w/a", DEAL, frozenset({(DEAL, "Stage")}), (Write(CONTRACT, "Status"),)),
        RuleNode("w/b", CONTRACT, frozenset({(CONTRACT, "Status")}), (Write(PROJECT, "state"),)),
        RuleNode("w/c", PROJECT, frozenset({(PROJECT, "state")}), (Write(DEAL, "Stage"),)),
    ]
    assert "w/c writes zoho:Deals.Stage -> w/a" in only(lint(rules)).problem


def test_a_loop_that_is_meant_passes() -> None:
    assert not lint([rule("a", reads="y", writes="x", intended_loop=True), rule("b", reads="x", writes="y")])


def test_a_rule_that_fires_once_per_record_ends_a_loop() -> None:
    assert not lint([rule("a", reads="y", writes="x", repeat="once"), rule("b", reads="x", writes="y")])


def test_a_value_that_the_next_rule_does_not_ask_for_wakes_nobody() -> None:
    asks = frozenset({(DEAL, "Stage", "Closed Won")})
    a = rule("a", reads="Stage", writes="x", requires=asks)
    assert not lint([a, rule("b", reads="x", effects=(Write(DEAL, "Stage", "Open"),))])
    assert lint([a, rule("b", reads="x", effects=(Write(DEAL, "Stage", "Closed Won"),))])
    assert lint([a, rule("b", reads="x", effects=(Write(DEAL, "Stage"),))])


@pytest.mark.parametrize(
    ("repeat", "value", "loops"),
    [
        ("when_becomes_true", None, False),
        ("once", None, False),
        ("every_time", None, True),
        ("when_value_changes", None, True),
        ("every_time", "fixed", False),
    ],
)
def test_a_rule_that_reads_what_it_writes_loops_only_if_each_edit_fires(
    repeat: Any, value: str | None, loops: bool
) -> None:
    problems = lint([rule("a", reads="x", effects=(Write(DEAL, "x", value),), repeat=repeat)])
    assert bool(problems) is loops
    assert not loops or "wakes itself without end" in only(problems).problem


def test_a_rule_that_wakes_at_any_edit_reads_every_field() -> None:
    a = RuleNode("w/a", DEAL, frozenset({(DEAL, ANY_FIELD)}), (Write(DEAL, "x"),), repeat="every_time")
    assert lint([a])


def test_a_rule_on_creation_that_creates_the_same_tab_breeds() -> None:
    breeder = RuleNode("w/a", DEAL, frozenset({(DEAL, CREATED)}), (Write(DEAL, CREATED, creates=True),), repeat="once")
    assert "w/a creates zoho:Deals -> w/a" in only(lint([breeder])).problem


def creator(name: str, tab: str, creates: str, **more: Any) -> RuleNode:
    return RuleNode(name, tab, frozenset({(tab, CREATED)}), (Write(creates, "Name", creates=True),), **more)


def test_unless_exists_does_not_stop_rules_that_breed_new_records() -> None:
    a, b = (
        creator("w/a", DEAL, PROJECT, guarded=frozenset({PROJECT})),
        creator("w/b", PROJECT, DEAL, guarded=frozenset({DEAL})),
    )
    assert lint([a, b]).errors


def test_unless_exists_ends_a_loop_that_comes_back_to_the_same_record() -> None:
    back = RuleNode("w/b", PROJECT, frozenset({(PROJECT, CREATED)}), (Write(DEAL, "Link"),))
    reads = frozenset({(DEAL, "Link")})
    make = (Write(PROJECT, "Name", creates=True),)
    assert lint([RuleNode("w/a", DEAL, reads, make), back]).errors
    assert not lint([RuleNode("w/a", DEAL, reads, make, guarded=frozenset({PROJECT})), back])


def test_a_rule_that_wants_none_and_makes_one_is_asked_for_repeat() -> None:
    """F.2: row 3 turns false by the rule's own action."""
    make = (Write(PROJECT, "projectname", creates=True),)
    wants_none = RuleNode("w/start", DEAL, frozenset({(PROJECT, "id")}), make, absent=frozenset({PROJECT}))
    problem = only(lint([wants_none]))
    assert problem.severity == "warning"
    assert problem.problem == (
        "w/start makes its own criteria false: it wants no vtiger:Project and creates one; "
        "when they become true, it fires again"
    )
    assert "`repeat: once`" in problem.hint
    assert "`unless_exists: true`" in problem.hint


@pytest.mark.parametrize("chosen", [{"repeat": "once"}, {"repeat_written": True}])
def test_whoever_chose_repeat_is_not_asked_again(chosen: dict[str, Any]) -> None:
    asks = frozenset({(DEAL, "Status", "Waiting")})
    closes = (Write(DEAL, "Status", "Closed"),)
    assert lint([rule("a", reads="Status", effects=closes, requires=asks)]).warnings
    assert not lint([rule("a", reads="Status", effects=closes, requires=asks, **chosen)])


def writing(name: str, value: str | None, **more: Any) -> RuleNode:
    return rule(name, effects=(Write(DEAL, "Stage", value),), **more)


def test_of_two_rules_that_write_one_field_the_later_wins() -> None:
    """G29 before publishing: the loser is told who wins."""
    first = writing("first", "A", place=Place("w.yaml", 7, 3))
    problem = only(lint([first, writing("second", "B")]))
    assert problem.severity == "warning"
    assert problem.line == 7
    assert problem.problem == (
        "w/first and w/second both write zoho:Deals.Stage; if both fire, w/second wins because it stands later"
    )


def test_a_higher_priority_wins_over_the_order_in_the_file() -> None:
    problem = only(lint([writing("first", "A", priority=5), writing("second", "B")]))
    assert "w/first wins because its priority is higher" in problem.problem


def test_each_loser_is_told_of_the_one_that_wins_in_the_end() -> None:
    problems = lint([writing(name, name) for name in "abcd"])
    assert [problem.problem.rpartition(" wins")[0][-3:] for problem in problems] == ["w/d"] * 3


def test_rules_that_cannot_meet_are_no_conflict() -> None:
    won = writing("a", "A", requires=frozenset({(DEAL, "Type", "New")}))
    assert not lint([won, writing("b", "B", requires=frozenset({(DEAL, "Type", "Old")}))])
    assert not lint([won, writing("same", "A")])
    assert not lint([won, RuleNode("w/elsewhere", CONTRACT, writes=(Write(DEAL, "Stage", "B"),))])
    assert not lint([won, rule("new", effects=(Write(DEAL, "Stage", "B", creates=True),))])


def test_a_computed_value_may_conflict_with_any() -> None:
    assert lint([writing("a", None), writing("b", "B")]).warnings


def test_a_long_chain_without_a_loop_passes() -> None:
    assert not lint([rule(str(n), reads=f"f{n}", writes=f"f{n + 1}") for n in range(3000)])


graphs = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"), max_size=4), max_size=6)


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    queue = [*graph.get(start, ())]
    while queue:
        node = queue.pop()
        if node not in seen:
            seen.add(node)
            queue.extend(graph.get(node, ()))
    return seen


@settings(max_examples=200, deadline=None)
@given(graphs)
def test_a_component_holds_exactly_the_nodes_that_reach_each_other(graph: dict[str, set[str]]) -> None:
    wanted = {
        tuple(sorted(other for other in reachable(graph, node) if node in reachable(graph, other)))
        for node in "abcdef"
        if node in reachable(graph, node)
    }
    assert set(components(graph)) == wanted


@settings(max_examples=100, deadline=None)
@given(graphs)
def test_the_way_shown_is_a_cycle(graph: dict[str, set[str]]) -> None:
    for members in components(graph):
        way = shortest_cycle(graph, members[0], members)
        assert way[0] == members[0]
        assert len(set(way)) == len(way)
        assert all(after in graph[node] for node, after in zip(way, (*way[1:], way[0]), strict=True))


specs = st.lists(st.tuples(st.sampled_from(["", "x", "y", "x y"]), st.sampled_from(["", "x", "y", "z"])), max_size=5)


@settings(max_examples=100, deadline=None)
@given(specs)
def test_rules_that_each_fire_once_never_loop_over_fields(fields: list[tuple[str, str]]) -> None:
    rules = [rule(str(n), reads=reads, writes=writes, repeat="once") for n, (reads, writes) in enumerate(fields)]
    assert not lint(rules).errors


@settings(max_examples=50, deadline=None)
@given(specs)
def test_the_same_rules_give_the_same_problems(fields: list[tuple[str, str]]) -> None:
    rules = [rule(str(n), reads=reads, writes=writes) for n, (reads, writes) in enumerate(fields)]
    assert lint(rules).render() == lint(list(rules)).render()
