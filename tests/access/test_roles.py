"""Roles and what they may do."""

import pytest

from fc.access.roles import RIGHTS, ROLES, Role, rights_of


def test_an_admin_may_do_everything() -> None:
    assert rights_of("admin") == set(RIGHTS)


def test_who_only_reads_may_do_nothing_else() -> None:
    assert rights_of("read-only") == set()


@pytest.mark.parametrize("role", RIGHTS)
def test_every_other_role_grants_the_right_of_its_name(role: Role) -> None:
    assert rights_of(role) == {role}


def test_there_are_seven_roles() -> None:
    assert len(ROLES) == 7
    assert {*ROLES, "configure"} == {*RIGHTS, "admin", "read-only"}
