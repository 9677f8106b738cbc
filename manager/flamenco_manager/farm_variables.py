"""The variables that hold at this site: predefined ones, those of its settings file, those of the Server."""

from collections.abc import Mapping, Sequence

from flamenco_core.wire.variables import AUDIENCES, IMPLICIT, PLATFORMS, Variables
from flamenco_core.wire.worker_api import Command
from flamenco_manager import variables
from flamenco_manager.variables import Folders, Listed, Lookup


class FarmVariables:
    """Knows every variable. One of the Server's replaces one of the settings file, and that a predefined one."""

    def __init__(self, of_site: Variables, jobs_folder: str, platform: str) -> None:
        """``platform`` is the one that this Manager runs on. Raises BadVariables."""
        self._of_site = of_site
        self._predefined = variables.predefined(jobs_folder)
        self._platform = platform
        self._current: Variables = {}
        self._lookups: dict[str, Lookup] = {}
        self._folders: dict[str, Folders] = {}
        self.use({})

    def use(self, of_server: Variables) -> None:
        """Take over what the Server says, all of it. Raises BadVariables, and changes nothing then."""
        merged = {**self._predefined, **self._of_site, **of_server, IMPLICIT: self._predefined[IMPLICIT]}
        variables.check_sizes(merged)
        self._current, self._lookups, self._folders = merged, {}, {}

    def expanded(self, commands: Sequence[Command], platform: str) -> list[Command]:
        """Fill in variables for a Worker's platform."""
        return variables.expand(commands, self._lookup(platform))

    def submitted(self, commands: Sequence[Command], platform: str) -> Sequence[Command]:
        """Replace paths of a submitter's platform by two-way variables."""
        known = _known(platform)
        if known not in self._folders:
            self._folders[known] = variables.folders(self._current, known)
        return variables.submit(commands, self._folders[known])

    def listed(self, audience: str, platform: str) -> Mapping[str, Listed]:
        """Return what the variables are for an audience (``workers``, ``users``) on a platform; {} for unknown ones."""
        known = platform.lower() in PLATFORMS and audience in AUDIENCES
        return variables.listed(self._current, audience, platform) if known else {}

    def _lookup(self, platform: str) -> Lookup:
        known = _known(platform)
        if known not in self._lookups:
            self._lookups[known] = variables.lookup(self._current, known, self._platform)
        return self._lookups[known]


def _known(platform: str) -> str:
    """Return a platform by its name, or ``""`` for all that we do not know: those have the same values."""
    return platform.lower() if platform.lower() in PLATFORMS else ""
