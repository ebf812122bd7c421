"""What may be served."""

from hypothesis import given
from hypothesis import strategies as st

from fc.cache.closures import servable
from fc.nix.path_info import PathInfo


def path(name: str) -> str:
    return f"/nix/store/{'0' * 32}-{name}"


def info(name: str, *references: str, nar_size: int = 120, nar_hash: str | None = "sha256:x") -> PathInfo:
    return PathInfo(
        path=path(name), references=tuple(map(path, references)), nar_size=nar_size, nar_hash=nar_hash
    )


def served(outputs: list[str], *infos: PathInfo) -> set[str]:
    return {found.path.rpartition("-")[2] for found in servable(map(path, outputs), infos)}


def test_the_closure_of_an_output_is_served() -> None:
    infos = (info("app", "lib", "data", "app"), info("lib", "libc"), info("libc", "libc"), info("data"))
    assert served(["app"], *infos) == {"app", "lib", "libc", "data"}


def test_what_no_output_refers_to_is_not_served() -> None:
    assert served(["app"], info("app"), info("source"), info("other", "app")) == {"app"}


def test_a_closure_with_a_derivation_is_not_served() -> None:
    infos = (
        info("app", "lib", "spy"),
        info("spy", "secret.drv"),
        info("secret.drv", "source"),
        info("source"),
        info("lib"),
        info("tool", "lib"),
    )
    assert served(["app", "tool"], *infos) == {"tool", "lib"}
    assert served(["spy", "secret.drv"], *infos) == set()


def test_a_closure_that_lacks_something_is_not_served() -> None:
    assert served(["app"], info("app", "lib")) == set()
    assert served(["app"], info("app", "lib"), info("lib", nar_hash=None)) == set()
    assert served(["app"], info("app", "lib"), info("lib", nar_size=0)) == set()
    assert served(["app"]) == set()


def test_circles_come_to_an_end() -> None:
    assert served(["a"], info("a", "b"), info("b", "a")) == {"a", "b"}
    assert served(["a"], info("a", "b"), info("b", "a", "x.drv"), info("x.drv")) == set()


NAMES = ["a", "b", "c", "d", "e.drv"]


@given(
    st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES))),
    st.lists(st.sampled_from(NAMES)),
)
def test_what_is_served_is_whole_wanted_and_free_of_derivations(
    graph: dict[str, list[str]], outputs: list[str]
) -> None:
    infos = [info(name, *references) for name, references in graph.items()]
    found = served(outputs, *infos)
    reachable = set(outputs)
    for _ in NAMES:
        reachable |= {reference for name in reachable for reference in graph.get(name, [])}
    assert found <= reachable & graph.keys()
    for name in found:
        assert not name.endswith(".drv")
        assert set(graph[name]) <= found
