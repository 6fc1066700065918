"""The page on which people speak or type and watch birds being painted: `scripts/app.sh`.

`server` starts it, `web` puts `guard` before it, `page` lays it out. `paint_handlers`, `compare_handlers` and
`explore_handlers` answer the page's events, `api` the programs' calls; all of them share a `backend`. `recording`,
`uploads`, `matching` and `view` know nothing of the page. gradio is imported nowhere else.
"""
