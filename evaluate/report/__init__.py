"""`python -m evaluate report`: all results on one page, which opens offline from disk.

Each module makes a part of the page, and `page` fills the template: `tables` makes the scores,
`charts` bars and densities, which `svg` writes, `examples` predicted against measured responses,
`spaces` the best feature space of each ROI, `brain` the maps, `account` fits, exclusions, warnings
and the command.
"""
