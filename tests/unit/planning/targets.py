"""How many replicas a simulated cluster is asked for."""

from dataclasses import dataclass

from serve_app.planning.cluster import View


@dataclass
class Fixed:
    """Asks for one number from a time on, and for another before it."""

    before: int
    after: int
    from_s: float
    period_s: float = 1.0

    def target(self, view: View) -> int:
        return self.after if view.now >= self.from_s else self.before
