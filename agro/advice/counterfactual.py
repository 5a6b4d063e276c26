"""What would change the advice: found by running the rules again on changed inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
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

    For "irrigate": rain before the window ends, or an irrigation that was not reported. For "hold": a larger
    depletion. The courses of depletion are moved by the amount and the rules run again; with the soil's water
    above the stress level that is what the balance itself would give.

    Returns
    -------
    Counterfactual or None
        None when nothing up to TAW changes the action, or the action does not rest on the balance.
    """
    if facts.need is None or facts.outlook is None:
        return None
    before = rules.decide(facts.values, limits)
    if before.action not in {"irrigate", "hold"} or not facts.values["irrigated"] or facts.no_crop:
        return None
    sign = 1.0 if before.action == "irrigate" else -1.0
    most = float(facts.need["taw_mm"])

    def after(amount: float) -> Action:
        return rules.decide(facts.shifted(sign * amount).values, limits).action

    if after(most) == before.action:
        return None
    low, high = 0.0, most
    while high - low > STEP_MM:
        middle = (low + high) / 2
        low, high = (middle, high) if after(middle) == before.action else (low, middle)
    # What is said is rounded up, and it is the rounded amount that has to flip the advice.
    amount = float(math.ceil(high))
    flips_to = after(amount)
    verified = flips_to != before.action
    if not verified:
        return None
    if sign < 0:
        variable, value = "dr_mm", round(float(facts.need["dr_mm"]), 1)
        changed_to = min(round(value + amount, 1), round(most, 1))
        message = Message(key="counterfactual.depletion", params={"dr_mm": changed_to})
    elif facts.values["reported"]:
        # Rain on top of what is forecast up to the end of the window: said as the whole.
        days = max((by - as_of).days, 1)
        variable, value = "forecast_rain_mm", round(sum(facts.rain_ahead_mm[:days]), 1)
        changed_to = round(value + amount, 1)
        message = Message(key="counterfactual.rain", params={"rain_mm": changed_to, "date": by.isoformat()})
    else:
        variable, value, changed_to = "irrigation_mm", 0.0, amount
        message = Message(key="counterfactual.irrigation", params={"depth_mm": amount})
    return Counterfactual(
        message=message, variable=variable, value=value, changed_to=changed_to, unit="mm", flips_to=flips_to,
        verified=verified,
    )  # fmt: skip
