"""Build products and metrics as outputs name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.products import BuildProduct, Metric, parse_build_products, parse_metrics

OUT = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-hello-1.0"


def product(line: str) -> BuildProduct | None:
    products = parse_build_products(line.encode())
    return products[0] if products else None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"file source-dist {OUT}/hello.tar.gz",
            BuildProduct(type="file", subtype="source-dist", path=f"{OUT}/hello.tar.gz", name="hello.tar.gz"),
        ),
        (
            f"doc manual {OUT}/share/doc index.html",
            BuildProduct(
                type="doc", subtype="manual", path=f"{OUT}/share/doc", name="doc", default_path="index.html"
            ),
        ),
        (
            f'  report none\t"{OUT}/a b.html"  ',
            BuildProduct(type="report", subtype="none", path=f"{OUT}/a b.html", name="a b.html"),
        ),
        (f"nix-build out {OUT}", BuildProduct(type="nix-build", subtype="out", path=OUT, name="hello-1.0")),
        (f"file none {OUT}/", BuildProduct(type="file", subtype="none", path=OUT, name="hello-1.0")),
    ],
)
def test_a_line_names_a_product(line: str, expected: BuildProduct) -> None:
    assert product(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "file",
        f"file {OUT}",
        f'file none "{OUT}',
        f"file none {OUT} index.html more",
        "file none /etc/passwd",
        "file none /nix/store",
        "file none /nix/store/hello",
        "file none hello.tar.gz",
        f"file none {OUT}/../x",
        f"file none {OUT}/./x",
        f"file none {OUT}//x",
        f"file none {OUT}/{'x' * 256}",
        f"doc manual {OUT} ../index.html",
        f"fi/le none {OUT}",
    ],
)
def test_other_lines_are_skipped(line: str) -> None:
    assert product(line) is None


def test_a_file_may_name_many_products() -> None:
    data = f"file none {OUT}/a\nnonsense\n\nfile none {OUT}/b".encode()
    assert [found.name for found in parse_build_products(data)] == ["a", "b"]


def test_metrics_have_a_name_a_value_and_perhaps_a_unit() -> None:
    data = b"size 12 KiB\ncoverage 81.5 %\nratio -1e-3\n tests\t+7.  \nhalf .5 s/op extra\n"
    assert parse_metrics(data) == [
        Metric("size", 12, "KiB"),
        Metric("coverage", 81.5, "%"),
        Metric("ratio", -0.001),
        Metric("tests", 7),
        Metric("half", 0.5, "s/op"),
    ]


def test_the_last_metric_of_a_name_counts() -> None:
    assert parse_metrics(b"a 1\nb 2\na 3\n") == [Metric("a", 3), Metric("b", 2)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "size",
        "size big",
        "size nan",
        "size 1e999",
        "size 1_000",
        "si;ze 1",
        "size 1 <b>",
        f"{'x' * 101} 1",
    ],
)
def test_other_metrics_are_skipped(line: str) -> None:
    assert parse_metrics(line.encode()) == []


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_and_never_leave_the_store(data: bytes) -> None:
    for found in parse_build_products(data + f"\nfile none {OUT}/".encode() + data):
        assert found.path.startswith("/nix/store/")
        assert "\0" not in found.path
    for metric in parse_metrics(data + b" 1\n"):
        assert len(metric.name) <= 100
