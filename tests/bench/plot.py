"""The plot: held time beside the bare stop's, and the whole run beside the rivals', over the number of threads.

A plain SVG 1.1 on a white ground: no script, no font of its own. Both axes are logarithmic.
"""

import math
import xml.sax.saxutils

WIDTH, HEIGHT = 470, 340
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 44, 44
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e5aa8", "#b8860b", "#555555", "#d2691e")


def text(x, y, words, anchor="middle", size=12, weight="normal"):
    words = xml.sax.saxutils.escape(words)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">{words}</text>'


def decades(values):
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def number(exponent):
    return f"{10.0**exponent:g}"


def panel(left, title, lines):
    """`lines`: [(name, [(threads, milliseconds)])]"""
    lines = [(name, sorted(points)) for name, points in lines if points]
    parts = [text(left + WIDTH / 2, 20, title, size=14, weight="bold")]
    if not lines:
        return [*parts, text(left + WIDTH / 2, HEIGHT / 2, "not measured")]
    xs = decades([x for _, points in lines for x, _ in points])
    ys = decades([y for _, points in lines for _, y in points])
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x, y):
        across = (math.log10(x) - xs[0]) / (xs[1] - xs[0])
        up = (math.log10(y) - ys[0]) / (ys[1] - ys[0])
        return left + LEFT + across * inner_width, TOP + (1 - up) * inner_height

    for exponent in range(xs[0], xs[1] + 1):
        x, bottom = place(10.0**exponent, 10.0 ** ys[0])
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom:.1f}" stroke="#dddddd"/>')
        parts.append(text(x, bottom + 16, number(exponent)))
    for exponent in range(ys[0], ys[1] + 1):
        x, y = place(10.0 ** xs[0], 10.0**exponent)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{left + WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(text(x - 6, y + 4, number(exponent), "end"))
    parts.append(text(left + LEFT + inner_width / 2, HEIGHT - 10, "threads"))
    parts.append(text(left + LEFT, TOP - 8, "milliseconds", "start", 11))
    for index, (name, points) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        placed = [place(x, y) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        y = TOP + 14 + 16 * index
        parts.append(f'<path d="M{left + LEFT + 8} {y - 4}h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(text(left + LEFT + 32, y, name, "start"))
    return parts


def points(cells, figure):
    return [(cell["threads"], figure(cell)) for cell in cells if figure(cell)]


def draw(cells):
    """`cells`: those of one interpreter and one depth, of every size."""
    rivals = sorted({(rival["name"], rival["native"]) for cell in cells for rival in cell["rivals"]})

    def wall_of(name, native):
        def figure(cell):
            return next((r["wall_ms"] for r in cell["rivals"] if (r["name"], r["native"]) == (name, native)), None)

        return figure

    whole = [
        ("pythreads --native", points(cells, lambda cell: cell["native_wall_ms"])),
        ("pythreads", points(cells, lambda cell: cell["plain_wall_ms"])),
    ]
    whole += [(name + (" native" if native else ""), points(cells, wall_of(name, native))) for name, native in rivals]
    held = [
        ("pythreads --native", points(cells, lambda cell: cell["held_ms"])),
        ("bare stop", points(cells, lambda cell: cell["bare_held_ms"])),
    ]
    body = [*panel(0, "How long the process is held", held), *panel(WIDTH + 20, "The whole run", whole)]
    width = 2 * WIDTH + 20
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}"'
            ' font-family="sans-serif">',
            f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
            *body,
            "</svg>",
            "",
        ]
    )
