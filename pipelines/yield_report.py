"""Table and plots of a validation, beside the published figures where they lie near the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agro.sources.cybench import RegionalYields
from agro.store.atomic import replacing, write_text
from pipelines.yield_evaluation import CHOSEN, LeadResult, per_year

PUBLISHED = "published_baselines.md"
METRICS = {"normalized_rmse": "nrmse_pct", "mape": "mape_pct", "r2": "r2"}


def published_figures(folder: Path, crop: str, country: str) -> dict[str, dict[str, float]]:
    """Published medians by model and metric, from ``published_baselines.md`` in the folder or one of the three above; empty without it."""
    for place in (folder, *list(folder.resolve().parents)[:3]):
        path = place / PUBLISHED
        if path.is_file():
            break
    else:
        return {}
    out: dict[str, dict[str, float]] = {}
    metric, names = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            words = line[3:].split()
            metric = METRICS.get(words[-1], "") if words[0] == crop else ""
        elif metric and line.startswith("| crop"):
            names = [c.strip() for c in line.strip("|").split("|")][2:]
        elif metric and re.match(rf"\|\s*{re.escape(crop)}\s*\|\s*{re.escape(country)}\s*\|", line):
            values = [c.strip().strip("*") for c in line.strip().strip("|").split("|")][2:]
            for name, value in zip(names, values, strict=True):
                out.setdefault(name.strip(), {})[metric] = float(value)
    return out


def write_report(
    data: RegionalYields,
    results: Mapping[str, Mapping[str, LeadResult]],
    notes: Mapping[str, Any],
    folder: Path,
    out: Path,
) -> list[Path]:
    """Write ``yield_<crop>_<country>.md``, the forecasts as CSV and two plots; the paths come back."""
    stem = f"yield_{data.crop}_{data.country}"
    paths = [out / f"{stem}.md"]
    write_text(paths[0], _markdown(data, results, notes, published_figures(folder, data.crop, data.country)))
    for protocol, leads in results.items():
        for lead, result in leads.items():
            if result.forecasts.empty:
                continue
            path = out / f"{stem}_{protocol}_{lead}.csv"
            write_text(path, result.forecasts.round(4).to_csv(index=False))
            paths.append(path)
    first = next(iter(results.values()))
    for name, draw in (("years", _plot_years), ("scatter", _plot_scatter)):
        path = out / f"{stem}_{name}.png"
        with replacing(path) as temporary:
            draw(data, first, temporary)
        paths.append(path)
    return paths


def _markdown(
    data: RegionalYields, results: Mapping[str, Mapping[str, LeadResult]], notes: Mapping[str, Any],
    published: Mapping[str, Mapping[str, float]],
) -> str:  # fmt: skip
    lines = [
        f"# Yield validation: {data.crop}, {data.country}",
        "",
        "Medians over the years left out; skill pooled over all rows against the region's mean. `chosen` is the model quoted: it is "
        "taken inside the training years of each fold. Regional skill is not field skill.",
        "",
    ]
    if published:
        lines += [
            "## Published (CY-Bench, leave one year out)",
            "",
            "| model | NRMSE % | MAPE % | R2 |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {m['nrmse_pct']:.2f} | {m['mape_pct']:.2f} | {m['r2']:.2f} |" for name, m in published.items()
        ] + [""]
    for protocol, leads in results.items():
        lines += [
            f"## {protocol.replace('_', ' ').capitalize()}", "",
            "| lead | model | NRMSE % | MAPE % | R2 | skill | years won | p | coverage | worst year | width t/ha |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for lead, result in leads.items():
            for name, s in result.scores.items():
                cover = (
                    f"{s['coverage_90']:.3f} | {s['worst_year_coverage_90']:.2f} ({s['worst_year']}) | {s['width_t_ha']:.2f}"
                    if name == CHOSEN
                    else " | | "
                )
                lines.append(
                    f"| {lead} | {name} | {s['nrmse_pct']:.2f} | {s['mape_pct']:.2f} | {s['r2']:.2f} | {s['skill']:+.3f} | "
                    f"{s['years_won']} of {s['years']} | {s['sign_test_p']:.3f} | {cover} |"
                )
        lines.append("")
    for lead, result in next(iter(results.values())).items():
        lines += [
            f"## Year by year, {lead}",
            "",
            "| year | rows | NRMSE % | mean's | R2 | coverage | taken |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {r['year']} | {r['rows']} | {r['nrmse_pct']:.2f} | {r['mean_nrmse_pct']:.2f} | {r['r2']:.2f} | {r['coverage_90']:.2f} | {r['model']} |"
            for r in per_year(result)
        ] + [""]
    lines += ["## Data", ""] + [f"- {key.replace('_', ' ')}: {value}" for key, value in notes.items()]
    return "\n".join(lines) + "\n"


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plot_years(data: RegionalYields, leads: Mapping[str, LeadResult], path: Path) -> None:
    figure = _figure(9, 2.6 * len(leads))
    axes = figure.subplots(len(leads), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (lead, result) in zip(axes, leads.items(), strict=True):
        rows = per_year(result)
        years = [r["year"] for r in rows]
        axis.plot(years, [r["mean_nrmse_pct"] for r in rows], "o--", color="0.55", label="mean of the region")
        axis.plot(years, [r["nrmse_pct"] for r in rows], "o-", color="C2", label="chosen")
        s = result.scores[CHOSEN]
        axis.set_title(
            f"{lead}: median {s['nrmse_pct']:.1f} %, skill {s['skill']:+.2f}, won {s['years_won']} of {s['years']}",
            fontsize=10,
        )
        axis.set_ylabel("NRMSE, %")
        # One slip in the published figures must not flatten all other years.
        shown = [v for r in rows for v in (r["mean_nrmse_pct"], r["nrmse_pct"])]
        axis.set_ylim(0, min(max(shown), 2.5 * sorted(shown)[len(shown) // 2]) * 1.08)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel(f"harvest year ({data.crop}, {data.country})")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(path, dpi=110, metadata={"Software": None}, format="png")


def _plot_scatter(data: RegionalYields, leads: Mapping[str, LeadResult], path: Path) -> None:
    figure = _figure(3.6 * len(leads), 3.8)
    axes = figure.subplots(1, len(leads), sharey=True, squeeze=False)[0]
    for axis, (lead, result) in zip(axes, leads.items(), strict=True):
        table = result.forecasts
        top = float(table["measured"].quantile(0.995)) * 1.15
        axis.errorbar(
            table["measured"], table[CHOSEN], yerr=[table[CHOSEN] - table["low"], table["high"] - table[CHOSEN]],
            fmt="none", ecolor="0.85", lw=0.6,
        )  # fmt: skip
        axis.plot(table["measured"], table[CHOSEN], ".", ms=3, color="C2")
        axis.plot([0, top], [0, top], color="0.3", lw=0.8)
        axis.set(xlim=(0, top), ylim=(0, top), xlabel="reported, t/ha", title=f"{lead}, {len(table)} rows")
    axes[0].set_ylabel(f"forecast, 90 % interval, t/ha ({data.crop}, {data.country})")
    figure.savefig(path, dpi=110, metadata={"Software": None}, format="png")
