"""Tenants take turns: who had more than the others waits until they caught up.

Pure Python: no torch, no clock, no thread.
"""

from collections import Counter

# Seconds of service by which a tenant may run ahead before the others go first: some pictures, so
# that between tenants of equal service the deadline decides.
ROUND_S = 30.0


class Turns:
    """How much service each tenant with unfinished work has had."""

    def __init__(self) -> None:
        self._served_s: dict[str, float] = {}
        self._num_jobs: Counter[str] = Counter()

    def join(self, tenant: str) -> None:
        """Count a job in; a tenant that had none starts even with the least served."""
        if self._num_jobs[tenant] == 0:
            self._served_s[tenant] = min(self._served_s.values(), default=0.0)
        self._num_jobs[tenant] += 1

    def leave(self, tenant: str) -> None:
        """Count a job out."""
        self._num_jobs[tenant] -= 1
        if self._num_jobs[tenant] == 0:
            del self._num_jobs[tenant], self._served_s[tenant]

    def serve(self, tenant: str, seconds: float) -> None:
        """Note what a tenant's job has used."""
        self._served_s[tenant] += seconds

    def rounds(self) -> dict[str, int]:
        """Return how many rounds each tenant is ahead of the least served."""
        least = min(self._served_s.values(), default=0.0)
        return {
            tenant: int((served - least) / ROUND_S) for tenant, served in self._served_s.items()
        }
