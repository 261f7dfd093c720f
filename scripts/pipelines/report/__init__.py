"""The report of a run: one HTML page that needs nothing else, for a screen of any width and for paper.

`contents` decides what stands in it: what ran when (`timeline`), how fast (`curve`), where the rows went (`balance`),
what took long (`pieces`), what it cost (`costs`); `drawing` makes paths of it, `words` makes figures readable. `page`
puts all of it into the template `page.html.j2`, with the looks of `page.css`.
"""
