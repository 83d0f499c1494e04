"""The features, one in each file; `quintet.lending.feature_registry` finds them."""
