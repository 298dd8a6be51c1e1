"""Sphinx: `make docs` builds the handbook, the reference and the decisions into ``build/docs``."""

project = "Dougong 斗拱"
author = "The Dougong authors"
copyright = "The Dougong authors, Apache-2.0"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
language = "en"
html_theme = "furo"
html_title = "Dougong 斗拱"
html_show_sphinx = False
# Everything is served from here: no font, script or picture from elsewhere.
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]
