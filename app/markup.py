"""Pieces of HTML for what Streamlit has no element for. Whatever a person typed is escaped by ``Markup.format``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from agro.reports.i18n import Translator
from app import palette
from app.layers import Layer, Ramp, Swatch

STYLE = Path(__file__).parent / "style.css"


def page_style(tr: Translator) -> str:
    """Give the style sheet, with the page's direction."""
    direction = f".stApp, .stApp [data-testid='stHeader'] {{ direction: {tr.direction}; }}"
    return f"<style>{STYLE.read_text(encoding='utf-8')}\n{direction}</style>"


def page_direction(tr: Translator) -> str:
    """Script that tells the browser, and a screen reader, the page's language and direction."""
    return (
        f"<script>document.documentElement.lang='{tr.language}';document.documentElement.dir='{tr.direction}';</script>"
    )


def joined(parts: Iterable[Markup | str]) -> Markup:
    """Parts one after the other, each escaped unless it is markup already."""
    return Markup("").join(parts)


def heading(title: str, under: str, badge: str | None) -> Markup:
    """Name of the region, the day, and a badge when nothing here is real."""
    mark = Markup('<span class="ag-badge" role="note">{}</span>').format(badge) if badge else Markup("")
    return Markup('<div class="ag-head"><h1>{}</h1>{}<div class="ag-under">{}</div></div>').format(title, mark, under)


def legend(layer: Layer) -> Markup:
    """Legend of the map's colours."""
    return Markup('<section class="ag-legend" aria-label="{}"><h3>{}</h3>{}{}{}</section>').format(
        layer.title,
        layer.title,
        _ramp(layer.ramp) if layer.ramp else "",
        joined(_swatch(s) for s in layer.swatches),
        Markup('<p class="ag-note">{}</p>').format(layer.note) if layer.note else "",
    )


def _ramp(ramp: Ramp) -> Markup:
    ticks = joined(Markup("<span>{}</span>").format(tick) for tick in ramp.ticks)
    return Markup(
        '<div class="ag-ramp"><div style="background:linear-gradient(to right,{})"></div><p>{}</p></div>'
    ).format(",".join(ramp.colors), ticks)


def _swatch(swatch: Swatch) -> Markup:
    look = f"border:3px solid {swatch.color};background:#fff" if swatch.outline else f"background:{swatch.color}"
    count = "" if swatch.count is None else Markup("<b>{}</b>").format(swatch.count)
    return Markup('<div class="ag-swatch"><i style="{}"></i><span>{}</span>{}</div>').format(look, swatch.label, count)


def keys(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Meaning of a chart's marks: shape (line, dash, dot, ring, cross, tick, area), colour and word of each."""
    shown = joined(
        Markup('<span><i class="ag-k-{}" style="--ink:{}">{}</i>{}</span>').format(
            shape, color, "✚" if shape == "cross" else "", words
        )
        for shape, color, words in items
    )
    return Markup('<div class="ag-keys">{}</div>').format(shown)


def pill(text: str, color: str, ink: str) -> Markup:
    """Set a short word on a colour."""
    return Markup('<span class="ag-pill" style="background:{};color:{}">{}</span>').format(color, ink, text)


def facts(pairs: Iterable[tuple[str, str, str]]) -> Markup:
    """Names, values and a smaller word below each value."""
    items = joined(
        Markup("<div><dt>{}</dt><dd>{}{}</dd></div>").format(
            name, value, Markup("<small>{}</small>").format(below) if below else ""
        )
        for name, value, below in pairs
    )
    return Markup('<dl class="ag-facts">{}</dl>').format(items)


def weighted(title: str, color: str, sign: str, lines: Sequence[tuple[str, float, str]], empty: str) -> Markup:
    """Sentences with a bar for their weight (0 to 1) and the weight in words."""
    rows = joined(
        Markup(
            '<li><span>{}</span><div class="ag-weight" title="{}"><i style="width:{}%;background:{}"></i></div></li>'
        ).format(line, words, round(100 * weight), color)
        for line, weight, words in lines
    )
    body = Markup("<ul>{}</ul>").format(rows) if lines else Markup('<p class="ag-note">{}</p>').format(empty)
    return Markup('<section class="ag-reasons"><h4><b style="color:{}">{}</b> {}</h4>{}</section>').format(
        color, sign, title, body
    )


def notice(title: str, lines: Iterable[str], tone: str) -> Markup:
    """Box a remark; `tone` is escalated, plain or trouble."""
    rows = joined(Markup("<li>{}</li>").format(line) for line in lines)
    return Markup('<div class="ag-notice ag-{}"><b>{}</b><ul>{}</ul></div>').format(tone, title, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, numeric: Sequence[int] = ()) -> Markup:
    """Set a table that turns with the page's direction; columns named in `numeric` keep digits in line."""

    def cells(values: Sequence[str], tag: str) -> Markup:
        made = []
        for i, value in enumerate(values):
            kind = Markup(' class="ag-n"') if i in numeric else Markup("")
            made.append(Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), kind, value))
        return Markup("<tr>{}</tr>").format(joined(made))

    return Markup(
        '<div class="ag-scroll"><table class="ag-table"><caption>{}</caption><thead>{}</thead><tbody>{}</tbody></table></div>'
    ).format(caption, cells(head, "th"), joined(cells(row, "td") for row in rows))


def steps(title: str, intro: str, lines: Iterable[tuple[str, str]]) -> Markup:
    """Set a page that helps: what is the matter, and commands with what each does."""
    rows = joined(Markup("<li>{}<pre dir='ltr'>{}</pre></li>").format(words, command) for words, command in lines)
    return Markup('<div class="ag-help"><h2>{}</h2><p>{}</p><ol>{}</ol></div>').format(title, intro, rows)


def confidence_bar(share: float, label: str, words: str) -> Markup:
    """Confidence (0 to 1) as a bar in the colour of its label (low, medium, high), with its words."""
    color = {"high": palette.GREEN, "medium": palette.ORANGE}.get(label, palette.VERMILION)
    return Markup(
        '<div class="ag-confidence"><div><i style="width:{}%;background:{}"></i></div><span>{}</span></div>'
    ).format(round(100 * share), color, words)
