"""The error tree: every error says what is wrong, where, and what to do next."""

from __future__ import annotations


class AgroError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what : str
        What is wrong, in one sentence without a full stop.
    where : str, optional
        File, row, parcel, scene or setting concerned.
    do : str, optional
        What the person can do next.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what = what
        self.where = where
        self.do = do
        super().__init__(what, where, do)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.do}" if self.do else text


class ConfigError(AgroError):
    """A setting, a region file or a command-line argument is wrong."""


class ContractError(AgroError):
    """A table, cube or record breaks its contract."""


class SourceError(AgroError):
    """A provider or a foreign file cannot be read.

    Parameters
    ----------
    transient : bool
        True when the same call may succeed later.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "", transient: bool = False) -> None:
        super().__init__(what, where=where, do=do)
        self.transient = transient


class NoDataError(AgroError):
    """The request is right and there is nothing for it: a typed outcome, not a silent success."""


class OfflineError(NoDataError):
    """Nobody may be asked, and the cache lacks it; another run may have it."""

    transient = True


class BudgetError(AgroError):
    """Going on would pass a limit that the person set."""


class PrivacyError(AgroError):
    """A request would show what must not leave this machine; it was not sent."""


class StorageError(AgroError):
    """The machine cannot keep what comes, e.g. on a full disk; going on would have it paid for again."""


#: What no other scene, day or provider would change: the run as a whole stops.
FINAL = (BudgetError, PrivacyError, StorageError)
