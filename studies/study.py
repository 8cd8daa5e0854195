"""What a study is: the task, the arms that are compared, their settings and seeds."""

import dataclasses
from collections.abc import Mapping

from studies.settings import checked

FIVE = (0, 1, 2, 3, 4)
ADAM = {"optimizer": "adam", "learning_rate": 2e-3, "schedule": "cosine"}
TASKS = ("membranes", "nuclei", "lesions", "touching", "synthetic")
TASKS += ("budget_nuclei", "budget_touching", "budget_lesions")


@dataclasses.dataclass(frozen=True)
class Study:
    """One comparison, or one run, as data.

    name: of its files in ``results/``. summary: one line. task: a module of ``studies.tasks``. settings: what all arms
    share (``studies.settings``). arms: {name: what differs}; a name ends as that of a kept file, ``<study>-<arm>``.
    seeds: those of each arm, or of the arms that ``seeds_of`` does not name. quick: what a smoke run puts in place of
    settings; quick_arms: the arms that it tries (all unless given). pairs: (arm, arm), whose difference is reported.
    target, least: {score: largest value}, {score: smallest value} of the arm ``aims``. keeps: the arms whose weights
    are kept. baselines: whether its pictures are scored without a network, too. based_on: the study that it was made
    of; ``differs`` tells what is other than there.

    Raises ``ValueError`` for an unknown task, setting, arm or a value of another type.
    """

    name: str
    summary: str
    task: str
    settings: Mapping
    arms: Mapping
    seeds: tuple[int, ...]
    quick: Mapping
    seeds_of: Mapping = dataclasses.field(default_factory=dict)
    quick_arms: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    target: Mapping = dataclasses.field(default_factory=dict)
    least: Mapping = dataclasses.field(default_factory=dict)
    aims: str = ""
    keeps: tuple[str, ...] = ()
    baselines: bool = True
    based_on: str = ""

    def __post_init__(self):
        if self.task not in TASKS:
            raise ValueError(f"{self.name} has the task {self.task!r}, and known are {', '.join(TASKS)}")
        checked(self.settings, self.name)
        checked(self.quick, f"the quick run of {self.name}")
        for arm, changes in self.arms.items():
            checked(changes, f"{self.name}, arm {arm!r},")
        has = set(self.settings).union(*self.arms.values())
        if set(self.quick) - has and "best_in" not in has:
            raise ValueError(f"the quick run of {self.name} changes {sorted(set(self.quick) - has)}, which no arm has")
        named = {arm for pair in self.pairs for arm in pair} | {*self.seeds_of, *self.quick_arms, *self.keeps}
        unknown = (named | ({self.aims} if self.aims else set())) - set(self.arms)
        if unknown:
            raise ValueError(f"{self.name} names the arms {sorted(unknown)}, and has {', '.join(self.arms)}")
        for arm, seeds in self.seeds_of.items():
            if not set(seeds) <= set(self.seeds):
                raise ValueError(f"arm {arm!r} of {self.name} has seeds {seeds}, and the study {self.seeds}")

    def changed(self, name, summary, *, settings=None, **others) -> "Study":
        """A study that is based on this one, with other settings and whatever else is given."""
        return dataclasses.replace(
            self,
            name=name,
            summary=summary,
            settings={**self.settings, **(settings or {})},
            based_on=self.name,
            **others,
        )

    def differs(self, base: "Study") -> dict:
        """The settings that all arms share, and that ``base`` has not, or has another value of."""
        return {name: value for name, value in self.settings.items() if base.settings.get(name) != value}

    def values(self, arm: str, quick=False, best=None) -> dict:
        """The settings of one arm. best: those that another study found for it (``best_in``).

        In a smoke run ``quick`` stands in place of those that the arm has.
        """
        values = {**self.settings, **self.arms[arm], **(best or {})}
        return values | {name: value for name, value in self.quick.items() if name in values} if quick else values

    def seeds_for(self, arm: str) -> tuple[int, ...]:
        """The seeds of one arm."""
        return self.seeds_of.get(arm, self.seeds)

    def stem(self, arm: str) -> str:
        """Name of the arm's kept file; of a study with one arm its own."""
        return self.name if len(self.arms) == 1 else f"{self.name}-{arm}"


def pairs(arms, other, groups=("",)):
    """Each arm minus another one, in each group of arms, whose name comes first."""
    return tuple((f"{group}{arm}", f"{group}{other}") for group in groups for arm in arms if arm != other)
