"""Rules in one grammar for every business: conditions over named figures, lists, backtest and shadow."""
