"""`python -m evaluate report`: all that was found, on one page that opens offline from disk.

Each module gives a part of the page, `page` puts them into the templates: `tables` the scores,
`charts` bars and densities, which `svg` writes, `examples` predicted against measured responses,
`spaces` which feature space is best where, `brain` the maps, `account` what was done and what was
left out.
"""
