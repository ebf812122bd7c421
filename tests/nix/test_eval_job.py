"""Lines of evaluations."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import FormatError
from fc.nix.eval_job import EvalError, EvalJob, parse_line

DRV = "/nix/store/y2yjlvgakv34zr09khygiw84ay9arlcm-hello.drv"
INPUT = "/nix/store/z2yjlvgakv34zr09khygiw84ay9arlcm-input.drv"
OUT = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-hello"

LINE: dict[str, Any] = {
    "attr": "x86_64-linux.hello",
    "attrPath": ["x86_64-linux", "hello"],
    "drvPath": DRV,
    "inputDrvs": {INPUT: ["out"]},
    "name": "hello",
    "outputs": {"out": OUT},
    "system": "x86_64-linux",
}


def parse(**changes: Any) -> EvalJob:
    job = parse_line(msgspec.json.encode(LINE | changes))
    assert isinstance(job, EvalJob)
    return job


def test_a_job_is_read() -> None:
    assert parse() == EvalJob(
        attr="x86_64-linux.hello",
        attr_path=("x86_64-linux", "hello"),
        name="hello",
        system="x86_64-linux",
        drv_path=DRV,
        outputs={"out": OUT},
        input_drvs={INPUT: ("out",)},
    )


def test_everything_an_evaluator_may_say_is_read() -> None:
    job = parse(
        meta={"description": "A greeting", "timeout": 60},
        requiredSystemFeatures=["kvm"],
        constituents=[INPUT],
        namedConstituents=["other"],
        globConstituents=True,
        cacheStatus="local",
        neededBuilds=[DRV],
        somethingNew={"deep": [1]},
    )
    assert job.meta["description"] == "A greeting"
    assert job.required_system_features == ("kvm",)
    assert (job.constituents, job.named_constituents, job.glob_constituents) == ((INPUT,), ("other",), True)
    assert job.is_aggregate
    assert job.cache_status == "local"


def test_nulls_stand_for_nothing() -> None:
    fields = (
        "meta",
        "inputDrvs",
        "outputs",
        "constituents",
        "namedConstituents",
        "globConstituents",
        "cacheStatus",
    )
    job = parse(requiredSystemFeatures=None, error=None, **dict.fromkeys(fields))
    assert (job.meta, job.input_drvs, job.outputs, job.constituents, job.cache_status) == (
        {},
        {},
        {},
        (),
        None,
    )
    assert not job.is_aggregate


def test_an_output_may_be_unknown() -> None:
    assert parse(outputs={"out": None, "dev": OUT}).outputs == {"out": None, "dev": OUT}


def test_inputs_may_be_written_with_dynamic_outputs() -> None:
    job = parse(inputDrvs={INPUT: {"outputs": ["dev", "out"], "dynamicOutputs": {}}})
    assert job.input_drvs == {INPUT: ("dev", "out")}


def test_a_job_without_a_path_has_one_part() -> None:
    line = {name: value for name, value in LINE.items() if name != "attrPath"}
    job = parse_line(msgspec.json.encode(line).decode())
    assert isinstance(job, EvalJob)
    assert job.attr_path == ("x86_64-linux.hello",)


def test_an_error_is_read_without_colours() -> None:
    error = parse_line('{"attr":"bad","attrPath":["bad"],"error":"\\u001b[31;1merror:\\u001b[0m no\\n"}')
    assert error == EvalError(attr="bad", attr_path=("bad",), error="error: no")


def test_an_error_of_the_whole_expression_has_no_path() -> None:
    error = parse_line('{"attr":"","error":"syntax error","fatal":true}')
    assert error == EvalError(attr="", attr_path=(), error="syntax error", fatal=True)
    assert parse_line('{"attr":"","attrPath":[],"error":""}') == EvalError(attr="", attr_path=(), error="")


@pytest.mark.parametrize(
    ("meta", "timeout", "max_silent", "priority"),
    [
        ({}, None, None, 100),
        ({"timeout": 60, "maxSilent": 30, "schedulingPriority": 5}, 60, 30, 5),
        ({"timeout": "60", "maxSilent": True, "schedulingPriority": None}, None, None, 100),
        ({"timeout": 0, "maxSilent": -1, "schedulingPriority": 1 << 40}, None, None, 100),
    ],
)
def test_limits_and_priority_come_from_meta(
    meta: dict[str, Any], timeout: int | None, max_silent: int | None, priority: int
) -> None:
    job = parse(meta=meta)
    assert (job.timeout, job.max_silent, job.scheduling_priority) == (timeout, max_silent, priority)


@pytest.mark.parametrize(
    "changes",
    [
        {"attr": 1},
        {"drvPath": ""},
        {"drvPath": OUT},
        {"drvPath": "../hello.drv"},
        {"outputs": {"out": "hello"}},
        {"inputDrvs": {"input.drv": ["out"]}},
        {"constituents": ["input.drv"]},
        {"name": "a\0b"},
        {"meta": []},
    ],
)
def test_a_line_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_line(msgspec.json.encode(LINE | changes))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"warning: something",
        b'{"attr":"\xff","error":""}',
        "\udcff",
        '{"attr":"a","error":"\\u0000"}',
        '{"attr":"a","meta":{"x":' + "[" * 20000,
    ],
)
def test_what_is_no_line_is_refused(line: bytes | str) -> None:
    with pytest.raises(FormatError):
        parse_line(line)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_give_nothing_but_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_line(data)
