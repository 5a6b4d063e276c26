"""What would change the advice: found by running the rules again on changed inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date

from agro.advice.facts import Facts
from agro.advice.rules import Rules
from agro.schema.advice import Action, Counterfactual, Message

#: Precision of the search, mm.
STEP_MM = 0.5


def counterfactual(
    facts: Facts, rules: Rules, limits: Mapping[str, float], as_of: date, by: date
) -> Counterfactual | None:
    """The smallest change of the root zone's water that changes the action.

    For "irrigate": rain tomorrow, or, where the grower does not report, an irrigation that was not told. For
    "hold": a larger depletion. The depletion ahead is replayed on the changed water (:meth:`Outlook.replayed`) and the
    rules run again, by bisection; what is said, rounded up to the millimetre, is run once more.

    Parameters
    ----------
    facts : Facts
        Of one parcel.
    rules, limits
        The rules and the values of their thresholds.
    as_of, by : datetime.date
        Issue date and end of the window.

    Returns
    -------
    Counterfactual or None
        None when nothing within plausible bounds changes the action (rain or irrigation: ``plausible_water`` of the
        rules; depletion: TAW), or when the action does not rest on the balance.
    """
    need = facts.need
    if need is None or facts.outlook is None or not facts.outlook.days:
        return None
    action = rules.decide(facts.values, limits).action
    if action not in {"irrigate", "hold"} or not facts.values["irrigated"] or facts.no_crop:
        return None
    drier, by_rain = action == "hold", action == "irrigate" and facts.values["reported"]
    most = float(need["taw_mm"] - need["dr_mm"]) if drier else limits["plausible_water"]

    def after(amount: float) -> Action:
        if by_rain:
            changed = facts.replayed(rain_mm=amount)
        else:
            changed = facts.replayed(-amount) if drier else facts.told_of(amount)
        return rules.decide(changed.values, limits).action

    amount = _smallest(after, action, most)
    if amount is None:
        return None
    if drier:
        value = round(float(need["dr_mm"]), 1)
        variable, changed_to = "dr_mm", round(value + amount, 1)
        message = Message(key="counterfactual.depletion", params={"dr_mm": changed_to})
    elif by_rain:
        # On top of what is forecast up to the end of the window: said as the whole.
        days = max((by - as_of).days, 1)
        value = round(sum(facts.rain_ahead_mm[:days]), 1)
        variable, changed_to = "forecast_rain_mm", round(value + amount, 1)
        message = Message(key="counterfactual.rain", params={"rain_mm": changed_to, "date": by.isoformat()})
    else:
        variable, value, changed_to = "irrigation_mm", 0.0, amount
        message = Message(key="counterfactual.irrigation", params={"depth_mm": amount})
    flips_to = after(amount)
    return Counterfactual(
        message=message, variable=variable, value=value, changed_to=changed_to, unit="mm", flips_to=flips_to,
        verified=flips_to != action,
    )  # fmt: skip


def _smallest(after: Callable[[float], Action], action: Action, most: float) -> float | None:
    """Least whole millimetres up to `most` that change the action, itself tried; None where nothing does."""
    low, high = 0.0, float(math.floor(most))
    if high < 1 or after(high) == action:
        return None
    while high - low > STEP_MM:
        middle = (low + high) / 2
        low, high = (middle, high) if after(middle) == action else (low, middle)
    amount = float(math.ceil(high))
    return amount if after(amount) != action else None
