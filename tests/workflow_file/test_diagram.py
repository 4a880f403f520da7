"""Pictures of a workflow: Mermaid text and SVG, the same bytes each time, in any script."""

from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.diagram import Diagram, DiagramAct, DiagramEdge, DiagramRule, DiagramTab, mermaid
from rules.diagram_layout import MAX_WIDTH, fitted, place, text_width
from rules.diagram_svg import svg

SVG = "{http://www.w3.org/2000/svg}"

JOURNEY = Diagram(
    "won-and-contracted",
    tabs=(
        DiagramTab("deal", "zoho.Deals", "zoho", main=True),
        DiagramTab("contract", "salesforce.Contract", "salesforce"),
        DiagramTab("project", "vtiger.Project", "vtiger"),
    ),
    edges=(
        DiagramEdge("deal", "contract", "Zoho_Deal_Id__c"),
        DiagramEdge("deal", "project", "cf_origin_deal"),
    ),
    rules=(
        DiagramRule("start", "deal", (DiagramAct("create", "project"), DiagramAct("notify"))),
        DiagramRule("tell", "contract", (DiagramAct("notify"),)),
    ),
)


def test_the_mermaid_text_of_a_small_workflow() -> None:
    assert mermaid(JOURNEY) == (
        "---\n"
        'title: "won-and-contracted"\n'
        "---\n"
        "flowchart LR\n"
        '  t0[["deal<br/>zoho.Deals"]]\n'
        '  t1["contract<br/>salesforce.Contract"]\n'
        '  t2["project<br/>vtiger.Project"]\n'
        '  t0 ---|"Zoho_Deal_Id__c"| t1\n'
        '  t0 ---|"cf_origin_deal"| t2\n'
        '  t0 -.->|"start: create"| t2\n'
        '  r1>"tell: notify"]\n'
        "  t1 -.- r1\n"
        "  classDef c0 fill:#e3f0fd,stroke:#2166ac,color:#1b1b1b\n"
        "  class t1 c0\n"
        "  classDef c1 fill:#e6f4e6,stroke:#2f7d32,color:#1b1b1b\n"
        "  class t2 c1\n"
        "  classDef c2 fill:#fdf0dc,stroke:#b26a00,color:#1b1b1b\n"
        "  class t0 c2\n"
    )


def test_the_svg_shows_tabs_relations_rules_and_connections() -> None:
    root = ElementTree.fromstring(svg(JOURNEY))
    shown = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert shown[0] == "won-and-contracted"
    assert {"deal", "zoho.Deals", "Zoho_Deal_Id__c", "start: create project, notify", "tell: notify"} <= set(shown)
    assert shown[-3:] == ["salesforce", "vtiger", "zoho"]
    kinds = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert kinds.count("relation") == 2
    assert kinds.count("act") == 1


def test_children_stand_in_the_column_to_the_right() -> None:
    boxes = place(JOURNEY).boxes
    assert [box.column for box in boxes.values()] == [0, 1, 1]
    assert boxes["contract"].x == boxes["project"].x > boxes["deal"].right


def test_labels_cannot_break_out_of_the_picture() -> None:
    evil = '"]<script>alert(1)</script>&"|#`\n--> x\x1b'
    diagram = Diagram(
        evil,
        (DiagramTab("a", evil, evil), DiagramTab("b", evil, evil)),
        (DiagramEdge("a", "b", evil),),
        (DiagramRule(evil, "a", (DiagramAct(evil, "b"), DiagramAct(evil))),),
    )
    root = ElementTree.fromstring(svg(diagram))
    assert not list(root.iter(f"{SVG}script"))
    text = mermaid(diagram)
    assert "<script" not in text
    assert "\x1b" not in text
    assert all(line.count('"') in (0, 2) for line in text.splitlines())


def test_japanese_labels_are_cut_to_fit_and_kept_whole_as_titles() -> None:
    long = "オンボーディング支援の引き継ぎと製品トレーニングの依頼を自動的に作成するルール"
    diagram = Diagram(
        "顧客ジャーニー",
        (DiagramTab("deal", "zoho.商談", "zoho", main=True),),
        (),
        (DiagramRule(long, "deal"),),
    )
    drawn = svg(diagram)
    assert "顧客ジャーニー" in drawn
    assert f"<title>{long}</title>" in drawn
    assert fitted(long, MAX_WIDTH - 24, 12) in drawn
    assert text_width("商談") > text_width("ab")


def test_an_edge_or_a_rule_of_an_unknown_tab_is_left_out() -> None:
    diagram = Diagram("w", (DiagramTab("a"),), (DiagramEdge("a", "x"), DiagramEdge("y", "a")), (DiagramRule("r", "z"),))
    assert 'class="relation"' not in svg(diagram)
    assert "---|" not in mermaid(diagram)


@pytest.mark.parametrize("diagram", [Diagram("w", ()), Diagram("", (DiagramTab("a"),)), JOURNEY])
def test_the_bytes_are_always_the_same(diagram: Diagram) -> None:
    assert svg(diagram) == svg(diagram)
    assert mermaid(diagram) == mermaid(diagram)
    ElementTree.fromstring(svg(diagram))


def test_tabs_in_a_ring_are_placed_once() -> None:
    tabs = tuple(DiagramTab(name) for name in "abc")
    edges = (DiagramEdge("a", "b"), DiagramEdge("b", "c"), DiagramEdge("c", "a"), DiagramEdge("b", "c"))
    assert set(place(Diagram("w", tabs, edges)).boxes) == {"a", "b", "c"}


names = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=30)
aliases = st.sampled_from(["deal", "demo", "account", "training", "見込み客", "x"])
diagrams = st.builds(
    Diagram,
    names,
    st.lists(
        st.builds(DiagramTab, aliases, names, st.sampled_from(["zoho", "sf"]), st.booleans()),
        max_size=6,
        unique_by=lambda tab: tab.alias,
    ).map(tuple),
    st.lists(st.builds(DiagramEdge, aliases, aliases, names), max_size=6).map(tuple),
    st.lists(
        st.builds(
            DiagramRule,
            names,
            aliases,
            st.lists(st.builds(DiagramAct, names, aliases), max_size=3).map(tuple),
        ),
        max_size=6,
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(diagrams)
def test_any_diagram_is_xml_with_boxes_that_do_not_overlap(diagram: Diagram) -> None:
    ElementTree.fromstring(svg(diagram))
    layout = place(diagram)
    assert set(layout.boxes) == {tab.alias for tab in diagram.tabs}
    for one, other in combinations(layout.boxes.values(), 2):
        apart = one.right < other.x or other.right < one.x
        assert apart or one.y + one.height < other.y or other.y + other.height < one.y
    for box in layout.boxes.values():
        assert 0 < box.x < box.right < layout.width
        assert 0 < box.y < box.y + box.height < layout.height
