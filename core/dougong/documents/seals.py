"""The round red seal of a company (印章), drawn with its name along the ring.

A picture and no signature: whoever needs proof of origin signs the file.
"""

from math import cos, pi, sin

from markupsafe import Markup, escape

SIZE, RING, TEXT_RADIUS = 200.0, 92.0, 70.0
WIDEST_ARC = 250.0


def _corner(n: int) -> str:
    """Return the n-th of the ten corners of the star, outer and inner ones in turn."""
    radius = 24 if n % 2 == 0 else 9.2
    return f"{100 + radius * sin(n * pi / 5):.1f},{97 - radius * cos(n * pi / 5):.1f}"


STAR = " ".join(_corner(n) for n in range(10))


def seal(company: str, purpose: str) -> Markup:
    """Return the seal as an inline SVG: the company's name along the ring, the purpose below.

    company: as registered; a long name is set smaller and never cut. purpose: 收款专用章, say.
    """
    size = 24.0 if len(company) <= 16 else max(11.0, 24.0 * 16 / len(company))
    arc = min(WIDEST_ARC, len(company) * (size + 3) / TEXT_RADIUS * 180 / pi)
    step = arc / max(len(company) - 1, 1)
    letters = "".join(
        f'<text x="100" y="{100 - TEXT_RADIUS:g}" font-size="{size:g}" text-anchor="middle"'
        f' transform="rotate({n * step - arc / 2:.2f} 100 100)">{escape(letter)}</text>'
        for n, letter in enumerate(company)
    )
    return Markup(
        f'<svg class="seal" viewBox="0 0 {SIZE:g} {SIZE:g}" role="img"'
        f' aria-label="{escape(company)} {escape(purpose)}" fill="#c1271d" font-weight="700"'
        ' font-family="Dougong Sans">'
        f'<circle cx="100" cy="100" r="{RING:g}" fill="none" stroke="#c1271d" stroke-width="5"/>'
        f'<polygon points="{STAR}"/>{letters}'
        f'<text x="100" y="150" font-size="19" text-anchor="middle">{escape(purpose)}</text></svg>'
    )
