"""The page on which people speak or type and watch birds being painted: `scripts/app.sh`.

`server` starts it, `guard` stands before it, `page` says what stands where and which of `painting`, `comparing`,
`exploring` and `programs` answers; what they know in common is `studio`. `painter`, `recording`, `scores` and `view`
know nothing of the page, and only they are imported from outside. gradio is imported nowhere else.
"""
