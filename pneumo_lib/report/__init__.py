"""Records of runs, the tables of the paper and the deck, comparison and figures."""
