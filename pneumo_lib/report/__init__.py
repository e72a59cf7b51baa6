"""Records of runs, the tables of the paper and the deck, comparison and figures."""

import pandas as pd

# The tables of a notebook hold sentences; pandas would cut them off after 50 letters.
pd.options.display.max_colwidth = None
