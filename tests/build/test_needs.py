"""What must be built for some builds."""

import uuid

from fc.build.needs import Needs, Node, decide, first_reaching, look_below


def key(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, name)


def graph(**nodes: Node) -> dict[uuid.UUID, Node]:
    return {key(name): node for name, node in nodes.items()}


def node(*inputs: str, status: str = "pending", valid: bool = False, failed_before: bool = False) -> Node:
    return Node(status, valid, failed_before, frozenset(map(key, inputs)))


def names(found: frozenset[uuid.UUID]) -> set[str]:
    return {name for name in "abcdefgh" if key(name) in found}


def needs(nodes: dict[uuid.UUID, Node], *roots: str) -> Needs:
    return decide(nodes, [key(root) for root in roots])


def test_everything_below_a_build_is_wanted() -> None:
    found = needs(graph(a=node("b", "c"), b=node("d"), c=node("d"), d=node(status="ready")), "a")
    assert names(found.wanted) == {"a", "b", "c", "d"}
    assert not found.again | found.there | found.failing


def test_what_is_there_is_not_wanted_nor_looked_below() -> None:
    found = needs(graph(a=node("b", "c"), b=node(valid=True, status="built"), c=node(valid=True)), "a")
    assert names(found.wanted) == {"a"}
    assert names(found.there) == {"b", "c"}


def test_what_is_being_built_is_wanted_whatever_the_store_says() -> None:
    found = needs(graph(a=node("b"), b=node(status="running", valid=True, failed_before=True)), "a")
    assert names(found.wanted) == {"a", "b"}


def test_outputs_that_are_gone_are_built_again() -> None:
    found = needs(graph(a=node("b"), b=node("c", status="built"), c=node(status="built", valid=True)), "a")
    assert names(found.wanted) == {"a", "b"}
    assert names(found.again) == {"b"}


def test_an_end_that_need_not_repeat_itself_begins_anew() -> None:
    found = needs(graph(a=node("b", status="dependency_failed"), b=node(status="timeout")), "a")
    assert names(found.again) == {"a", "b"}


def test_what_has_failed_before_fails_what_needs_it_and_nothing_is_built_for_that() -> None:
    nodes = graph(
        a=node("b", "c", status="dependency_failed"),
        b=node("d"),
        c=node("e"),
        d=node(failed_before=True, status="failed"),
        e=node(),
        f=node("e"),
    )
    found = needs(nodes, "a")
    assert not found.wanted
    assert names(found.failing) == {"d"}
    assert names(found.again) == {"a"}
    both = needs(nodes, "a", "f")
    assert names(both.wanted) == {"e", "f"}


def test_an_output_that_is_there_outweighs_an_earlier_failure() -> None:
    found = needs(graph(a=node("b"), b=node(failed_before=True, valid=True)), "a")
    assert names(found.wanted) == {"a"}
    assert names(found.there) == {"b"}


def test_roots_that_were_removed_meanwhile_are_no_concern() -> None:
    assert needs({}, "a") == needs(graph(), "a")
    assert not needs({}, "a").wanted


def test_inputs_outside_of_what_was_read_are_left_alone() -> None:
    assert names(needs(graph(a=node("b")), "a").wanted) == {"a"}


def test_inputs_matter_only_where_something_may_be_built() -> None:
    assert look_below(node())
    assert look_below(node(status="built"))
    assert not look_below(node(valid=True))
    assert not look_below(node(failed_before=True))
    assert not look_below(node(status="running"))


def test_each_wanted_one_is_shown_at_the_first_root_that_needs_it() -> None:
    nodes = graph(a=node("c"), b=node("c", "d"), c=node("e"), d=node("e"), e=node(), f=node())
    wanted = frozenset(map(key, "abcde"))
    found = first_reaching(nodes, wanted, [key("f"), key("a"), key("b"), key("a")])
    assert {name: found[key(name)] for name in "abcde"} == {
        "a": key("a"),
        "c": key("a"),
        "e": key("a"),
        "b": key("b"),
        "d": key("b"),
    }


def test_a_deep_graph_needs_no_depth_of_calls() -> None:
    nodes = {
        uuid.UUID(int=number): Node("pending", inputs=frozenset({uuid.UUID(int=number + 1)}))
        for number in range(20_000)
    }
    roots = [uuid.UUID(int=0)]
    assert len(decide(nodes, roots).wanted) == 20_000
    assert len(first_reaching(nodes, frozenset(nodes), roots)) == 20_000
