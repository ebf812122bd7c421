"""Orders, lengths and nearest jobs of build graphs."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from fc.evaluate.chains import chain_lengths, inputs_first, nearest_jobs, with_dependents

GRAPHS = st.integers(0, 12).flatmap(
    lambda size: st.tuples(*(st.sets(st.integers(0, max(0, node - 1)), max_size=4) for node in range(size)))
)


def named(graph: tuple[set[int], ...]) -> dict[str, tuple[str, ...]]:
    """A graph without cycles: node n only needs smaller ones."""
    return {
        f"n{node}": tuple(f"n{one}" for one in sorted(needs) if one < node)
        for node, needs in enumerate(graph)
    }


@given(GRAPHS)
def test_every_derivation_comes_after_its_inputs(graph: tuple[set[int], ...]) -> None:
    inputs = named(graph)
    order = inputs_first(inputs)
    assert sorted(order) == sorted(inputs)
    assert all(order.index(one) < order.index(key) for key in inputs for one in inputs[key])


def test_a_very_deep_graph_is_no_problem() -> None:
    inputs = {f"n{number}": (f"n{number - 1}",) for number in range(50_000)}
    assert inputs_first(inputs)[-1] == "n49999"
    assert chain_lengths(inputs, {})["n0"] == 500_000
    assert nearest_jobs(inputs, ["n49999", "n0"]) == {"n49999": frozenset({"n0"}), "n0": frozenset()}


def test_a_fault_reaches_everything_that_needs_it() -> None:
    inputs = {"top": ("middle", "fine"), "middle": ("bad",), "bad": (), "fine": (), "outside": ("absent",)}
    assert with_dependents(inputs, {"bad": "why"}) == {"bad": "why", "middle": "why", "top": "why"}
    assert with_dependents(inputs, {"absent": "gone"}) == {"absent": "gone", "outside": "gone"}


def test_a_chain_is_as_long_as_what_waits_for_it() -> None:
    inputs = {"app": ("lib", "tool"), "lib": ("base",), "tool": (), "base": ("built",), "other": ("base",)}
    lengths = chain_lengths(inputs, {"app": 100, "lib": 20, "tool": 5, "base": 3, "other": 1})
    assert lengths == {"app": 100, "lib": 120, "tool": 105, "base": 123, "other": 1}


def test_a_length_fits_its_column() -> None:
    assert chain_lengths({"a": ()}, {"a": 1e30}) == {"a": 2**31 - 1}


def _reachable(inputs: dict[str, tuple[str, ...]], start: str, through: set[str]) -> set[str]:
    found, todo = set(), list(inputs[start])
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            if one not in through:
                todo += inputs[one]
    return found & through


@given(GRAPHS, st.sets(st.integers(0, 11)))
def test_the_nearest_jobs_are_those_reached_without_passing_another(
    graph: tuple[set[int], ...], chosen: set[int]
) -> None:
    inputs = named(graph)
    jobs = {f"n{one}" for one in chosen} & inputs.keys()
    assert nearest_jobs(inputs, jobs) == {job: frozenset(_reachable(inputs, job, jobs)) for job in jobs}


def test_a_job_whose_graph_is_not_known_needs_nothing() -> None:
    assert nearest_jobs({}, ["a"]) == {"a": frozenset()}
    assert list(itertools.chain(inputs_first({}))) == []
