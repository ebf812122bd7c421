"""Leases are renewed while somebody works, and no longer."""

import asyncio

import asyncpg
import pytest

from fc.base.leases import kept
from tests.support.waiting import eventually


class Lease:
    """Counts renewals, and answers them as it is told."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.renewals = 0
        self._answers = list(answers)

    async def renew(self) -> bool:
        """One renewal."""
        self.renewals += 1
        answer = self._answers.pop(0) if self._answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


async def renewed(lease: Lease, times: int) -> None:
    async def often() -> bool:
        return lease.renewals >= times

    await eventually(often, f"{times} renewals")


async def test_a_lease_is_renewed_until_the_work_ends() -> None:
    lease = Lease()
    async with kept(lease.renew, 0.03):
        await renewed(lease, 3)
    ended = lease.renewals
    await asyncio.sleep(0.1)
    assert lease.renewals == ended


async def test_a_lease_that_is_lost_is_renewed_no_more() -> None:
    lease = Lease(True, False)
    async with kept(lease.renew, 0.03):
        await renewed(lease, 2)
        await asyncio.sleep(0.1)
    assert lease.renewals == 2


@pytest.mark.parametrize("trouble", [OSError("gone"), asyncpg.InterfaceError("closed"), TimeoutError()])
async def test_a_database_that_is_away_for_a_moment_costs_no_lease(trouble: Exception) -> None:
    lease = Lease(trouble)
    async with kept(lease.renew, 0.03):
        await renewed(lease, 2)


async def test_what_goes_wrong_in_the_work_is_told() -> None:
    lease = Lease()
    with pytest.raises(ZeroDivisionError):
        async with kept(lease.renew, 10):
            raise ZeroDivisionError
