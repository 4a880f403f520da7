"""Random trees of the criteria language, for laws."""

from hypothesis import strategies as st

from rules.calendars import Duration
from rules.criteria import tree as t
from schemas.values import Amount

words = st.sampled_from(
    ["Stage", "Zoho_Deal_Id__c", "商談", "is", "in", "no", "Größe (cm)", "x", "today", "date", "last"]
)
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=8)
durations = st.sampled_from(["3 days", "1 business hour", "2 weeks", "1.5 hours"]).map(Duration.parse)
amounts = st.decimals(0, 10**9, places=3).map(Amount)

constants = st.one_of(
    texts.map(t.Constant),
    st.integers(0, 10**12).map(t.Constant),
    amounts.map(t.Constant),
    amounts.map(lambda amount: t.Constant(amount, percent=True)),
    st.booleans().map(t.Constant),
    texts.map(t.Exact),
)
names = st.lists(words, min_size=1, max_size=3).map(lambda parts: t.Name(tuple(parts)))
leaves = st.one_of(constants, names)


def _operands(below: st.SearchStrategy[t.Operand]) -> st.SearchStrategy[t.Operand]:
    functions = st.sampled_from(["lower", "coalesce", "days_between"])
    return st.one_of(
        st.builds(t.Binary, st.sampled_from(["+", "-", "*", "/"]), below, below),
        st.builds(lambda left, duration: t.Binary("+", left, t.Length(duration)), below, durations),
        st.builds(t.Negative, below),
        st.builds(t.Call, functions, st.lists(below, max_size=3).map(tuple)),
    )


operands: st.SearchStrategy[t.Operand] = st.recursive(leaves, _operands, max_leaves=4)
lists = st.lists(operands, min_size=1, max_size=3).map(tuple)
flags = st.booleans()

simple: st.SearchStrategy[t.Condition] = st.one_of(
    st.builds(t.Compare, st.just("is"), operands, operands, flags),
    st.builds(t.Compare, st.sampled_from([">", ">=", "<", "<="]), operands, operands),
    st.builds(t.OneOf, operands, lists, flags),
    st.builds(t.TextTest, st.just("contains"), operands, operands, flags),
    st.builds(t.TextTest, st.sampled_from(["starts with", "ends with"]), operands, operands),
    st.builds(t.Matches, operands, texts, flags),
    st.builds(t.Between, operands, operands, operands, flags),
    st.builds(t.Empty, operands, flags),
    st.builds(t.Members, st.sampled_from(["has all", "has any", "has none"]), operands, lists),
    st.builds(t.Members, st.just("is exactly"), operands, lists, flags),
    st.builds(t.OnDay, operands, st.sampled_from(["today", "yesterday", "tomorrow"]), flags),
    st.builds(
        t.InPeriod,
        operands,
        st.sampled_from(["this", "next", "last"]),
        st.sampled_from(["week", "month", "quarter", "year"]),
        flags,
    ),
    st.builds(
        t.Near,
        operands,
        st.sampled_from(["in the next", "in the last", "more than ago", "less than ago", "within", "anniversary"]),
        durations,
        flags,
    ),
    st.builds(t.Change, operands, st.just("changed"), st.none() | operands, st.none() | operands),
    st.builds(t.Change, operands, st.sampled_from(["became empty", "was filled"])),
    st.builds(t.Moved, operands, st.sampled_from(["increased", "decreased"])),
    st.builds(t.Moved, operands, st.sampled_from(["increased", "decreased"]), operands, flags),
    st.builds(t.Moved, operands, st.sampled_from(["crosses above", "crosses below"]), operands),
    st.builds(t.WasEver, operands, operands, flags),
    st.builds(t.WasFor, operands, operands, durations, flags),
    st.builds(t.UserTest, operands, st.sampled_from(["in team", "in role"]), texts, st.none(), flags),
    st.builds(t.UserTest, operands, st.just("owner of"), words, st.none(), flags),
    st.builds(t.UserTest, operands, st.just("reports to"), st.just(""), operands),
    st.builds(t.UserTest, operands, st.just("active"), st.just(""), st.none(), flags),
    st.builds(t.Exists, operands, flags),
    st.builds(t.Quantified, st.sampled_from(["any", "no"]), words),
)


def _conditions(below: st.SearchStrategy[t.Condition]) -> st.SearchStrategy[t.Condition]:
    several = st.lists(below, min_size=2, max_size=3).map(tuple)
    aggregates = st.builds(t.Aggregate, st.sampled_from(["sum", "max"]), words, words, st.none() | below)
    picks = st.builds(t.Pick, st.sampled_from(["first", "last"]), words, words, flags, words, st.none() | below)
    return st.one_of(
        st.builds(t.And, several),
        st.builds(t.Or, several),
        st.builds(t.Not, below),
        st.builds(t.Window, below, below, st.none() | durations),
        st.builds(t.Quantified, st.sampled_from(["any", "all", "all_or_no", "no"]), words, below),
        st.builds(t.Compare, st.just(">"), st.builds(t.Count, words, st.none() | below), operands),
        st.builds(t.Compare, st.just(">"), aggregates | picks, operands),
    )


conditions: st.SearchStrategy[t.Condition] = st.recursive(simple, _conditions, max_leaves=5)
