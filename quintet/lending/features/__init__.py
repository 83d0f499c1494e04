"""The features, one to a file. A file here with a `FEATURE` in it is found by `quintet.lending.feature_registry`."""
